"""What an app may say of its certificate."""

from __future__ import annotations

import re
from typing import Any

from app_rules.described import Problems, schema
from app_rules.settings import text_problem

# A file has a suffix, which a key without its first line does not look like.
_PATH = re.compile(r"[A-Za-z0-9_./~ @-]*[A-Za-z0-9_-]\.[A-Za-z0-9]{1,8}")
# Whose keys they are.
_OWNERS = {"certificate": "files", "key": "files", "check": "acme"}


def pem(key: str, value: str) -> Problems:
    """PEM itself or the path of a file; whichever it is, a message must not show it."""
    if "-----BEGIN " in value:
        if problem := text_problem(value):
            yield key, problem
    elif len(value) > 255 or not _PATH.fullmatch(value):
        yield key, "must be the path of a file such as certificates/shop.pem, or PEM text that holds -----BEGIN"


def tls(key: str, app: dict[str, Any]) -> Problems:
    """What a mode needs, and what belongs to another one."""
    given = app.get("tls", {})
    mode = given.get("mode", schema()["tls"]["options"]["mode"]["default"])
    for name, owner in _OWNERS.items():
        if name in given and mode != owner:
            yield f"{key}.tls.{name}", f"belongs to mode: {owner}, and mode is {mode}"
        elif owner == mode == "files" and name not in given:
            yield f"{key}.tls.{name}", "is missing: mode: files serves a certificate and a key that you have"
