"""Checks what a new environment is to be called and where it is to be."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Names that an inventory or this project already uses for something else.
# The last is the group of hosts that have databases.
_RESERVED = {"all", "ungrouped", "localhost", "hosts", "children", "vars", "group_vars", "host_vars", "db"}


def environment_problems(name: object, host: object, domain: object, existing: dict[str, str]) -> list[str]:
    """What is wrong with the words of `make env`, one line each.

    Args:
        name: the environment's name.
        host: the address of its host, or empty.
        domain: the domain of its app, or empty.
        existing: paths that are already there, by what they hold: `HOST` for the inventory, `DOMAIN` for the variables.
    """
    problems = [f"NAME={name}: {text}" for text in _name_problems(str(name))]
    for key, value, check in (("HOST", host, _host_problems), ("DOMAIN", domain, _domain_problems)):
        text = str(value)
        if key in existing:
            if text:
                problems.append(f"{key}={text}: {existing[key]} is already there; edit it, or leave {key} out")
        else:
            problems += [f"{key}={text}: {problem}" for problem in check(text)]
    return problems


def environment_existing(paths: dict[str, str], project: str) -> dict[str, str]:
    """Those of an environment's files that are there already."""
    return {key: path for key, path in paths.items() if Path(project, path).exists()}


def _name_problems(name: str) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield (
            "an environment's name is 1 to 31 lower-case letters, digits and underscores, beginning with a letter, "
            "for example production"
        )
    elif name in _RESERVED:
        yield "that name means something else to Ansible; choose another"


def _is_domain(text: str) -> bool:
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in text.split("."))


def _host_problems(host: str) -> Iterator[str]:
    if not host:
        yield "is missing: give the host's address, for example HOST=198.51.100.7"
        return
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # The last label of a name is never a number: 300.1.1.1 was meant to be an address.
        if not _is_domain(host) or host.rpartition(".")[2].isdigit():
            yield (
                "must be an address or a name such as 198.51.100.7, 2001:db8::7 or vps.example.com: no user, no "
                "port (ansible_port in the inventory takes one), no brackets"
            )
    else:
        if address.is_unspecified or address.is_multicast or "%" in host:
            yield "is no address of a host"


def _domain_problems(domain: str) -> Iterator[str]:
    if not domain:
        yield "is missing: give the app's domain, for example DOMAIN=shop.example.com"
    elif not _is_domain(domain) or "." not in domain or domain.rpartition(".")[2].isdigit():
        yield (
            "must be a domain such as shop.example.com: lower-case letters, digits and hyphens, no port, no path, no "
            "wildcard, no trailing dot; an international one in its xn-- form"
        )


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"environment_existing": environment_existing, "environment_problems": environment_problems}
