"""Values fit to be shown: what looks like a secret is not."""

import re
from collections.abc import Mapping

HIDDEN = "********"
_SECRET_NAME = re.compile(
    r"SECRET|PASSW|PASSPHRASE|TOKEN|CREDENTIAL|PRIVATE|SALT|DSN|(^|_)(PWD|PW|PASS|KEYS?)(_|$)",
    re.IGNORECASE,
)
# Greedy up to the last @: a password may itself hold one, or a slash.
_URL_USER = re.compile(r"://([^:/@\s]*)(:[^\s]*)?@")
_PARAMETER = re.compile(r"(?i)\b(\w*(?:passw|pwd|secret|token|key)\w*=)[^&\s;]+")


def masked(name: str, value: object) -> object:
    """Return ``value`` with everything hidden that its name or its own look calls secret."""
    if value is None or isinstance(value, bool | int | float):
        # A number is hidden only under a secret's name; a limit or a switch is not one.
        secret = _SECRET_NAME.search(name) and type(value) in (int, float)
        return HIDDEN if secret and not name.endswith(("_LIMIT", "_LENGTH")) else value
    if isinstance(value, Mapping):
        return {key: masked(f"{name}_{key}", inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(name, inner) for inner in value]
    if _SECRET_NAME.search(name) and value not in ("", b""):
        return HIDDEN
    if isinstance(value, str):
        return _PARAMETER.sub(rf"\1{HIDDEN}", _URL_USER.sub(_without_password, value))
    return value


def _without_password(match: re.Match[str]) -> str:
    if match[2] is None:
        return f"://{HIDDEN}@"  # a token alone, as in https://token@host
    return f"://{match[1]}:{HIDDEN}@"
