"""Filters that put what an app says into nginx's words."""

from __future__ import annotations

from collections.abc import Callable

_POLICY = "Content-Security-Policy"


def nginx_variable(name: str) -> str:
    """The beginning of the names of an app's own variables; apps' names know no underscore."""
    return f"app_{name.replace('-', '_')}"


def nginx_quoted(text: str) -> str:
    """Text as one word of nginx's; no `$` is in it, since the checks of `apps` let none through."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def nginx_app_headers(host: dict[str, str], own: dict[str, str], app: str) -> list[dict[str, str]]:
    """The headers of an app's answers: those of the host, then its own, which win, whatever their case.

    A policy for content is always among them, if only an empty one: nginx's own pages and uploads have one.
    """
    merged = {_POLICY.lower(): (_POLICY, "")}
    for name, value in [*host.items(), *own.items()]:
        merged[name.lower()] = (merged.get(name.lower(), (name,))[0], value)
    return [
        {
            "name": name,
            "lower": lower.replace("-", "_"),
            "variable": f"{nginx_variable(app)}__{lower.replace('-', '_')}",
            "value": nginx_quoted(value),
        }
        for lower, (name, value) in merged.items()
        if value or name == _POLICY
    ]


def nginx_hsts(hsts: dict[str, int | bool]) -> str:
    """The value of Strict-Transport-Security, quoted."""
    words = [f"max-age={hsts.get('max_age', 63072000)}"]
    words += ["includeSubDomains"] if hsts.get("subdomains") else []
    words += ["preload"] if hsts.get("preload") else []
    return nginx_quoted("; ".join(words))


def nginx_burst(rate: str) -> int:
    """The requests of five seconds at a rate such as `100/s` or `10/m`, and at least 5."""
    number, unit = rate.split("/")
    return max(5, int(number) * 5 // (1 if unit == "s" else 60))


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {
            "nginx_variable": nginx_variable,
            "nginx_quoted": nginx_quoted,
            "nginx_app_headers": nginx_app_headers,
            "nginx_hsts": nginx_hsts,
            "nginx_burst": nginx_burst,
        }
