"""What is right by itself and wrong beside something else: paths that mean two things, uploads that would be lost."""

from __future__ import annotations

from typing import Any

from app_rules.described import Problems

# A year, which the browsers' list asks for.
_PRELOAD_AGE = 31536000


def places(key: str, app: dict[str, Any]) -> Problems:
    """Of an app whose keys are right by themselves."""
    yield from _hsts(f"{key}.http.hsts", app.get("http", {}).get("hsts", {}))
    uploads = {"url": "/uploads", "path": "uploads", **app["uploads"]} if "uploads" in app else {}
    if uploads and not any(f"{uploads['path']}/".startswith(f"{name}/") for name in app.get("shared", [])):
        yield f"{key}.uploads.path", f"nothing there outlasts a release; add {uploads['path']} to shared"
    if " " in uploads.get("path", ""):
        yield f"{key}.uploads.path", "must be a path without blanks"
    yield from _meanings(key, app, uploads)
    yield from _nested(f"{key}.shared", app.get("shared", []))
    for path, options in app.get("http", {}).get("paths", {}).items():
        if "burst" in options and "rate" not in options:
            yield f"{key}.http.paths.{path}.burst", "belongs to rate, which is not there"


def _nested(key: str, names: list[str]) -> Problems:
    """A link to the outer directory leaves no room for one inside it."""
    for index, name in enumerate(names):
        for outer in names:
            if name.startswith(f"{outer}/"):
                yield f"{key}[{index}]", f"is inside {outer}, which is shared already; leave it out"


def _hsts(key: str, value: dict[str, Any]) -> Problems:
    if value.get("preload") and not (value.get("subdomains") and value.get("max_age", _PRELOAD_AGE) >= _PRELOAD_AGE):
        yield f"{key}.preload", f"needs subdomains: true, and max_age of at least {_PRELOAD_AGE}"


def _meanings(key: str, app: dict[str, Any], uploads: dict[str, Any]) -> Problems:
    """Each path has one meaning."""
    static = {"url": "/static", **app["static"]} if "static" in app else {}
    taken = {place["url"]: name for name, place in (("static", static), ("uploads", uploads)) if place}
    if static and uploads and static["url"] == uploads["url"]:
        yield f"{key}.uploads.url", "is static.url already; choose another"
    for path in app.get("http", {}).get("paths", {}):
        for url, name in taken.items():
            if f"{path}/".startswith(f"{url}/"):
                yield f"{key}.http.paths.{path}", f"belongs to {name}, which the app does not see"
