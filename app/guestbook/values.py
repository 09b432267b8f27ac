"""Types of settings: text from the environment converted, values from files checked."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from guestbook.checks import SettingsError


class _Kind(NamedTuple):
    replaces: type
    accepts: tuple[type, ...]
    described: str
    parse: Callable[[str], object]


def _boolean(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(text)


def _whole(text: str) -> int:
    # int() would also take " 5 ", "1_000" and other scripts' digits.
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(text)
    return int(text)


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=_whole(text))


def _json(kind: type) -> Callable[[str], object]:
    def parse(text: str) -> object:
        value = json.loads(text)
        if type(value) is not kind:
            raise ValueError(text)
        return value

    return parse


# bool before int: Python's True is an int.
_KINDS = (
    _Kind(bool, (bool,), "true or false", _boolean),
    _Kind(int, (int,), "a whole number", _whole),
    _Kind(float, (float, int), "a number", float),
    _Kind(timedelta, (timedelta, int), "a whole number of seconds", _seconds),
    _Kind(list, (list, tuple), "a list", _json(list)),
    _Kind(tuple, (tuple, list), "a list", _json(list)),
    _Kind(dict, (dict,), "a mapping", _json(dict)),
    _Kind(str, (str, bytes), "text", str),
)
_ANY = _Kind(object, (object,), "text", str)


def _kind_of(value: object) -> _Kind:
    """Return what must replace ``value``; where it is None or a stranger, anything may."""
    return next((kind for kind in _KINDS if isinstance(value, kind.replaces)), _ANY)


def convert(texts: Mapping[str, Any], current: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Give each text the type of the value that it replaces; where there is none, keep it text.

    A nested mapping (from FLASK_KEY__PART) adds to the mapping that it replaces. Raises
    SettingsError naming each variable, never its value, whose text does not convert.
    """
    problems: list[str] = []
    converted = _convert(texts, current, prefix, problems)
    if problems:
        raise SettingsError(problems)
    return converted


def _convert(texts: Mapping[str, Any], current: Mapping[str, Any], prefix: str, problems: list[str]) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for key, text in texts.items():
        old = current.get(key)
        if isinstance(text, dict):
            inner = old if isinstance(old, dict) else {}
            converted[key] = inner | _convert(text, inner, f"{prefix}{key}__", problems)
            continue
        kind = _kind_of(old)
        try:
            converted[key] = kind.parse(text)
        except ValueError:
            problems.append(f"{prefix}{key} must be {kind.described}")
    return converted


def check_types(new: Mapping[str, Any], current: Mapping[str, Any], source: Callable[[str], str]) -> None:
    """Refuse a value of another type than the one it replaces: "false" is true in Python."""
    problems = [
        f"{key} must be {_kind_of(current.get(key)).described} ({source(key)})"
        for key, value in new.items()
        if value is not None and not _fits(_kind_of(current.get(key)), value)
    ]
    if problems:
        raise SettingsError(problems)


def _fits(kind: _Kind, value: object) -> bool:
    if isinstance(value, bool):
        return kind in (_ANY, _KINDS[0])
    return isinstance(value, kind.accepts)
