"""Formats of what ends up in nginx's configuration: none may hold what ends a word or a line there."""

from __future__ import annotations

import re
from typing import Any

from app_rules.described import Problems

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# What decides how a connection is read belongs to nginx; what it sends itself would be there twice.
_NOT_TO_BE_SET = {
    "cache-control", "connection", "content-encoding", "content-length", "content-type", "date", "keep-alive",
    "location", "retry-after", "server", "set-cookie", "strict-transport-security", "trailer", "transfer-encoding",
    "upgrade",
}  # fmt: skip


def size(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[1-9][0-9]{0,11}[kmg]?", value):
        yield key, "must be a size such as 500k, 10m or 1g"


def in_bytes(text: str) -> int:
    """A size in nginx's notation as a number of bytes."""
    number = text.rstrip("kmg")
    return int(number) * _UNITS[text[len(number) :]]


def rate(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[1-9][0-9]{0,6}/[sm]|unlimited", value):
        yield key, "must be a number a second or a minute, such as 100/s or 10/m, or unlimited"


def headers(key: str, value: dict[Any, Any]) -> Problems:
    for name, text in value.items():
        place = f"{key}.{name}"
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", name):
            yield place, "a header's name is letters, digits and hyphens"
        elif name.lower() in _NOT_TO_BE_SET:
            hint = "; see http.hsts" if name.lower() == "strict-transport-security" else ""
            yield place, f"nginx or the app decides about this header{hint}"
        elif not isinstance(text, str):
            yield place, "must be text; put it in quotes"
        elif not re.fullmatch(r"[ !#%-\[\]-~]*", text.replace('"', "")) or len(text) > 4096:
            yield place, "must be one line of plain characters, without $ and \\"
    names = [str(name).lower() for name in value]
    yield from ((f"{key}.{name}", "stands more than once") for name in value if names.count(str(name).lower()) > 1)


def snippet(key: str, value: str) -> Problems:
    if any(ord(character) < 32 and character not in "\n\t" for character in value) or "\x7f" in value:
        yield key, "must be plain text: no control characters, lines end in a newline alone"


def body_limit(app: dict[str, Any]) -> int | None:
    """The largest request body that an app is told to expect, in bytes, or None where nothing is said."""
    http = app.get("http", {})
    sizes = [place["max_body_size"] for place in (http, *http.get("paths", {}).values()) if "max_body_size" in place]
    return max(map(in_bytes, sizes), default=None)
