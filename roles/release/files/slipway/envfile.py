"""systemd's EnvironmentFile format, written so that every value arrives byte for byte.

systemd drops backslashes, trims blanks and lets an unclosed quote swallow what follows, so every value is put in
double quotes with the four characters that are special inside them escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPED = re.compile(r'([\\"$`])')
_UNESCAPED = re.compile(r"\\(.)", re.DOTALL)


def dump(variables: Mapping[str, str]) -> str:
    """Render variables, sorted by name.

    Raises:
        ValueError: a name or a value that the format cannot carry; the message names the variable, not its value.
    """
    lines = []
    for name, value in sorted(variables.items()):
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name that an environment variable can have")
        if "\0" in value or "\r" in value:
            raise ValueError(f"the value of {name} holds a NUL or a carriage return, which systemd refuses")
        escaped = _ESCAPED.sub(r"\\\1", value)
        lines.append(f'{name}="{escaped}"\n')
    return "".join(lines)


def load(text: str) -> dict[str, str]:
    """Read back what `dump` wrote (and only that)."""
    variables = {}
    for match in re.finditer(r'^(\w+)="((?:[^\\"]|\\.)*)"\n', text, re.MULTILINE | re.DOTALL):
        variables[match[1]] = _UNESCAPED.sub(r"\1", match[2])
    return variables
