"""systemd's EnvironmentFile format, written so that every value arrives byte for byte.

systemd drops backslashes, trims blanks and lets an unclosed quote swallow what follows, so every value is put in
double quotes with the four characters that are special inside them escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPED = re.compile(r'([\\"$`])')
# NUL ends a variable. The others are code points that are no characters: for one of them systemd (252 and 257) does not
# start the unit, and writes the whole value to the journal.
_IMPOSSIBLE = re.compile(
    "[\0\ud800-\udfff\ufdd0-\ufdef" + "".join(chr(p * 0x10000 + n) for p in range(17) for n in (0xFFFE, 0xFFFF)) + "]"
)
# What Linux takes as one variable, its name and the NUL at its end included.
LONGEST = 128 * 1024
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
        if _IMPOSSIBLE.search(value):
            raise ValueError(f"the value of {name} holds a NUL or another character that systemd refuses")
        if len(f"{name}={value}".encode()) >= LONGEST:
            raise ValueError(f"the value of {name} is longer than an environment variable can be")
        escaped = _ESCAPED.sub(r"\\\1", value)
        lines.append(f'{name}="{escaped}"\n')
    return "".join(lines)


def load(text: str) -> dict[str, str]:
    """Read back what `dump` wrote (and only that)."""
    variables = {}
    for match in re.finditer(r'^(\w+)="((?:[^\\"]|\\.)*)"\n', text, re.MULTILINE | re.DOTALL):
        variables[match[1]] = _UNESCAPED.sub(r"\1", match[2])
    return variables
