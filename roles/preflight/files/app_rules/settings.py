"""Formats of settings and environment, and what the file that carries them cannot hold."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from typing import Any

from app_rules.described import Problems, quote_hint
from app_rules.words import variable


def env(key: str, value: dict[Any, Any]) -> Problems:
    for name, text in value.items():
        place = f"{key}.{name}"
        yield from variable(place, name)
        if not isinstance(text, str):
            yield place, "must be text" + quote_hint("str", text)
        elif problem := text_problem(text) or _env_problem(f"{name}={text}"):
            yield place, problem


def text_problem(text: str) -> str | None:
    if "\0" in text:
        return "holds a NUL character, which no configuration can carry"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half of a surrogate pair, which is no text"
    return None


def _env_problem(assignment: str) -> str | None:
    if any(0xFDD0 <= ord(character) <= 0xFDEF or ord(character) & 0xFFFE == 0xFFFE for character in assignment):
        return "holds a code point that is no character, which systemd refuses"
    too_long = len(assignment.encode()) >= 128 * 1024
    return "is longer than an environment variable can be; put it into settings" if too_long else None


def settings(key: str, value: Any) -> Problems:
    """Settings may be any text but NUL, numbers, booleans, lists, dictionaries with names for keys."""
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                yield f"{key}.{name}", "a setting's name must be text; put it in quotes"
            yield from settings(f"{key}.{name}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from settings(f"{key}[{index}]", item)
    elif isinstance(value, str):
        if problem := text_problem(value):
            yield key, problem
    elif not isinstance(value, bool | int | float | None):
        yield (
            key,
            f"must be text, a number, true, false, null, a list or a dictionary, and is a {type(value).__name__}",
        )


def settings_file(key: str, app: dict[str, Any]) -> Problems:
    """What the chosen format cannot carry; asked only where the keys themselves are right."""
    file, values = app.get("settings_file", {}), app.get("settings", {})
    form, variable = file.get("format", "json"), file.get("variable", "APP_SETTINGS")
    if variable in app.get("env", {}):
        yield f"{key}.env.{variable}", "names the settings file; choose another settings_file.variable, or leave it out"
    if form == "toml":
        for place in _nulls(f"{key}.settings", values):
            yield place, "TOML has no null; leave the key out, or choose another settings_file.format"
    if form == "python":
        for name in values:
            if not name.isidentifier() or keyword.iskeyword(name):
                yield f"{key}.settings.{name}", "is no name that Python can give a variable"


def _nulls(key: str, value: Any) -> Iterator[str]:
    if value is None:
        yield key
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from _nulls(f"{key}.{name}", item)
