"""Formats of who may see an app."""

from __future__ import annotations

import ipaddress
import re

from app_rules.described import Problems

_NETWORK = "an address or a network such as 203.0.113.7 or 2001:db8::/32"


def network(key: str, value: str, wanted: str = _NETWORK) -> Problems:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        yield key, f"must be {wanted}: {error}"
    else:
        if "%" in value:
            yield key, "must be an address without a zone"


def user(key: str, value: object) -> Problems:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}", value):
        yield (
            key,
            "a name is up to 64 letters, digits and _ . @ + -, beginning with a letter or digit; put it in quotes",
        )


def password_hash(key: str, value: str) -> Problems:
    if not re.fullmatch(r"\$(?:2[aby]|5|6|7|y|gy)\$[A-Za-z0-9./$=,]{16,200}", value):
        yield (
            key,
            "must be the hash of a password, not the password: openssl passwd -6 prints one; keep it in the vault",
        )
