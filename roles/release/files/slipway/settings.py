"""The settings file of a release, in the forms that Flask loads: JSON and TOML (`from_file`), Python (`from_pyfile`).

Every value comes back as it was given; what a form cannot carry is refused by its key.
"""

from __future__ import annotations

import json
import keyword
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = "# Written by Slipway; the next deploy writes it anew."


def render(form: str, values: Mapping[str, Any]) -> tuple[str, bytes]:
    """The name and the content of a settings file.

    Raises:
        ValueError: `form` is none, or cannot carry a value; the message names the key.
    """
    if form not in _FORMS:
        raise ValueError(f"settings_file.format: {form!r} is not one of {', '.join(_FORMS)}")
    suffix, dump = _FORMS[form]
    return f"settings.{suffix}", dump(values).encode()


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _toml(values: Mapping[str, Any]) -> str:
    lines = [f"{_toml_key(key)} = {_toml_value(key, value)}\n" for key, value in sorted(values.items())]
    return f"{_HEAD}\n{''.join(lines)}"


def _toml_key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _toml_value(place: str, value: object) -> str:
    match value:
        case str():
            return _quoted(value)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            # Written out in full: TOML wants digits on both sides of the point.
            return "nan" if math.isnan(value) else repr(value) if math.isfinite(value) else str(value)
        case list():
            return f"[{', '.join(_toml_value(f'{place}[{index}]', item) for index, item in enumerate(value))}]"
        case dict():
            pairs = (f"{_toml_key(key)} = {_toml_value(f'{place}.{key}', item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
    raise ValueError(f"settings.{place}: TOML has no null; leave the key out or choose another format")


def _quoted(text: str) -> str:
    # JSON's text is TOML's, but for the one control character that JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _python(values: Mapping[str, Any]) -> str:
    lines = []
    for key, value in sorted(values.items()):
        if not key.isidentifier() or keyword.iskeyword(key):
            raise ValueError(f"settings.{key}: is no name that Python can give a variable; choose another format")
        lines.append(f"{key} = {_python_value(value)}\n")
    return f"{_HEAD}\n{''.join(lines)}"


def _python_value(value: object) -> str:
    match value:
        case float() if not math.isfinite(value):
            return f'float("{value}")'
        case list():
            return f"[{', '.join(map(_python_value, value))}]"
        case dict():
            return f"{{{', '.join(f'{key!a}: {_python_value(item)}' for key, item in value.items())}}}"
    # Plain ASCII: whatever the locale of who reads the file.
    return ascii(value)


_FORMS: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "json": ("json", _json),
    "toml": ("toml", _toml),
    "python": ("py", _python),
}
