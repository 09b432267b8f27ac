"""Formats of what is said of a machine; an empty value leaves it as it is."""

from __future__ import annotations

import re
from collections.abc import Callable

from app_rules.described import Problems


def _like(pattern: str, meant: str) -> Callable[[str, str], Problems]:
    """A format of one pattern, or of nothing."""

    def check(key: str, value: str) -> Problems:
        if value and (".." in value or not re.fullmatch(pattern, value)):
            yield key, f"must be {meant}"

    return check


_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"

machine_name = _like(rf"{_LABEL}(\.{_LABEL})*", "a name of lower-case letters, digits and hyphens, such as web1")
timezone = _like(r"[A-Za-z][A-Za-z0-9_+/-]*[A-Za-z0-9]", "a time zone such as Europe/Berlin")
locale = _like(r"[A-Za-z][A-Za-z0-9_.@-]*", "a locale such as C.UTF-8 or de_DE.UTF-8")
server = _like(r"[A-Za-z0-9][A-Za-z0-9.:-]*", "the name or the address of a server")
time_of_day = _like(r"([01][0-9]|2[0-3]):[0-5][0-9]", 'a time such as "04:00", in quotes')
mail = _like(r"[A-Za-z0-9._+-]+(@[A-Za-z0-9.-]+)?", "an address such as ops@example.com")
disk_size = _like(r"[1-9][0-9]{0,5}[MGT]", "a size such as 500M or 1G")
option = _like(r"[a-z][a-z0-9_=%-]*", "a mount option such as noexec")
module = _like(r"[a-z0-9][a-z0-9_-]*", "the name of a kernel module")
unit = _like(r"[A-Za-z0-9][A-Za-z0-9@_-]*\.(service|socket|path|timer|target)", "a unit such as cups.service")
line = _like(r"[ -~]*", "one line of plain text")
