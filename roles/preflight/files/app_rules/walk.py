"""The walk through what a user wrote for an app, along the schema."""

from __future__ import annotations

import difflib
from typing import Any

from app_rules import words
from app_rules.described import Problems, quote_hint, renamed, reserved_names, schema
from app_rules.formats import FORMATS, TOGETHER

_TYPES: dict[str, type] = {"str": str, "path": str, "int": int, "dict": dict, "list": list, "bool": bool}
_WORDS = {
    "str": "text",
    "path": "text",
    "int": "a whole number",
    "dict": "a dictionary",
    "list": "a list",
    "bool": "true or false",
}


def app_problems(name: Any, app: Any) -> Problems:
    """Everything that is wrong with one app: the key and what it is."""
    key = f"apps.{name}"
    if wrong := list(words.name(key, name)):
        yield from wrong
    elif name in reserved_names() or name.startswith("systemd-"):
        yield key, "that name belongs to the system; choose another"
    if isinstance(app, dict):
        problems = list(_dict_problems(key, app, _options(app)))
        # What does not go together is asked only where the keys themselves are right.
        yield from problems or [found for check in TOGETHER for found in check(key, app)]
    else:
        yield key, "must be a dictionary"


def _options(app: dict[str, Any]) -> dict[str, Any]:
    if app.get("state") != "absent":
        return schema()
    return {name: {**option, "required": False} for name, option in schema().items()}


def _dict_problems(key: str, value: dict[str, Any], options: dict[str, Any]) -> Problems:
    for name in value:
        if name not in options and (new := renamed("apps").get(f"{key}.{name}".partition(".")[2].partition(".")[2])):
            yield f"{key}.{name}", f"is now called {new}"
        elif name not in options:
            close = difflib.get_close_matches(str(name), options, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(options)}"
            yield f"{key}.{name}", f"there is no such key; {hint}"
    for name, option in options.items():
        if name in value:
            yield from value_problems(f"{key}.{name}", value[name], option)
        elif option.get("required"):
            yield f"{key}.{name}", f"is missing: {str(option['description']).split('. ')[0].rstrip('.')}"


def value_problems(key: str, value: Any, option: dict[str, Any]) -> Problems:
    kind = option["type"]
    fits = isinstance(value, _TYPES[kind]) and not (kind == "int" and isinstance(value, bool))
    if not fits:
        yield key, f"must be {_WORDS[kind]}" + quote_hint(kind, value)
        return
    if "choices" in option and value not in option["choices"]:
        yield key, f"must be one of {', '.join(map(str, option['choices']))}"
    if kind == "int" and "minimum" in option and not option["minimum"] <= value <= option["maximum"]:
        yield key, f"must be from {option['minimum']} to {option['maximum']}"
    if "options" in option:
        yield from _dict_problems(key, value, option["options"])
    if "values" in option:
        yield from _named_problems(key, value, option)
    if kind == "list":
        yield from _list_problems(key, value, option)
    elif "format" in option:
        yield from FORMATS[option["format"]](key, value)


def _named_problems(key: str, value: dict[Any, Any], option: dict[str, Any]) -> Problems:
    """A dictionary whose keys are the user's own: names that become part of a unit's, or what `names` says."""
    for name, item in value.items():
        yield from FORMATS[option.get("names", "name")](f"{key}.{name}", name)
        yield from value_problems(f"{key}.{name}", item, option["values"])


def _list_problems(key: str, value: list[Any], option: dict[str, Any]) -> Problems:
    if option.get("required") and not value:
        yield key, "must name at least one"
    each: dict[str, Any] = {key: option[key] for key in ("format", "minimum", "maximum") if key in option}
    for index, item in enumerate(value):
        place = f"{key}[{index}]"
        yield from value_problems(place, item, {"type": option.get("elements", "str"), **each})
        if isinstance(item, str | int) and item in value[:index] and option.get("format") != "domain":
            yield place, "stands there twice"
