"""Formats of what visitors ask for: domains and paths."""

from __future__ import annotations

import re

from app_rules.described import Problems


def domain(key: str, value: str) -> Problems:
    labels = value.split(".")
    good = all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", label) for label in labels)
    if not good or len(value) > 253 or len(labels) < 2 or labels[-1].isdigit():
        rule = "lower-case letters, digits and hyphens, no port, no wildcard, no trailing dot"
        yield key, f"must be a domain such as shop.example.com: {rule}{_international(value, labels)}"


def _international(value: str, labels: list[str]) -> str:
    """The form in which DNS and certificates carry a domain that is not plain letters."""
    if value.isascii():
        return ""
    coded = [f"xn--{label.lower().encode('punycode').decode()}" if not label.isascii() else label for label in labels]
    return f"; write {'.'.join(coded)}"


def url_path(key: str, value: str) -> Problems:
    if not re.fullmatch(r"/[A-Za-z0-9_.~!&'()*+,=:@%/?-]*", value):
        yield key, "must be a path that begins with a slash, in plain characters"


def url_prefix(key: str, value: object) -> Problems:
    if not isinstance(value, str) or not re.fullmatch(r"(/[A-Za-z0-9_.-]+)+", value) or ".." in value.split("/"):
        yield key, "must be a path such as /static: a leading slash, no trailing one, plain characters"
    elif f"{value}/".startswith(("/.slipway/", "/.well-known/acme-challenge/")):
        yield key, "is a path that nginx answers itself; choose another"
