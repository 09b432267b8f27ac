"""Filters that check the `apps` dictionary and fill in its defaults.

The checks are strict on purpose: most of these words end up in a unit file, in nginx's configuration or in a command
line, and a mistake must show before anything on a host changes, with the key to edit.
"""

from __future__ import annotations

import difflib
import functools
import keyword
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError

_FILES = Path(__file__).resolve().parent.parent / "files"
_TYPES: dict[str, type] = {"str": str, "int": int, "dict": dict, "list": list, "bool": bool}
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "dict": "a dictionary",
    "list": "a list",
    "bool": "true or false",
}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
# What uv can install and what can run the server; older ones have had no security fixes for years.
PYTHON_VERSION = re.compile(r"3\.([89]|[1-9][0-9])(\.(0|[1-9][0-9]?))?")

Problems = Iterator[tuple[str, str]]


@functools.cache
def schema() -> dict[str, Any]:
    """The keys that an app may have, from `files/app.yml`."""
    return dict(yaml.safe_load((_FILES / "app.yml").read_text()))


@functools.cache
def _reserved_names() -> frozenset[str]:
    return frozenset(yaml.safe_load((_FILES / "reserved_names.yml").read_text()))


def apps_problems(apps: Any) -> list[str]:
    """Everything that is wrong with `apps`, one line each; empty where it may be deployed."""
    if not isinstance(apps, dict) or not apps:
        return ["apps: must be a dictionary with at least one app"]
    problems = [f"{key}: {text}" for name, app in apps.items() for key, text in _app_problems(name, app)]
    lists = [app["domains"] for app in apps.values() if isinstance(app, dict) and isinstance(app.get("domains"), list)]
    domains = Counter(str(domain).lower() for listed in lists for domain in listed)
    problems += [f"apps: the domain {domain} stands more than once" for domain, count in domains.items() if count > 1]
    return problems


def apps_complete(apps: Any) -> dict[str, Any]:
    """`apps` with every default filled in.

    Raises:
        AnsibleFilterError: something is wrong with it.
    """
    problems = apps_problems(apps)
    if problems:
        raise AnsibleFilterError("\n".join(problems))
    return {name: _complete(app, schema()) for name, app in apps.items() if app.get("state") != "absent"}


def apps_absent(apps: Any) -> dict[str, str]:
    """The apps to take away, each with what becomes of its data: `keep` or `delete`."""
    return {name: app.get("data", "keep") for name, app in apps.items() if app.get("state") == "absent"}


def apps_public(apps: Any) -> dict[str, Any]:
    """`apps_complete` without what may be secret: all that anything but the deploy itself needs.

    Ansible prints an item of a loop that fails, whatever its label says.
    """
    secret = {"settings", "env", "source"}
    return {
        name: {key: value for key, value in app.items() if key not in secret}
        for name, app in apps_complete(apps).items()
    }


def apps_pythons(apps: Any) -> list[str]:
    """The versions of Python that the apps name, for the role that provides them."""
    named = {str(app.get("python", "")) for app in apps.values() if app.get("state") != "absent"}
    return sorted(version for version in named if PYTHON_VERSION.fullmatch(version))


def _complete(value: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    filled = {}
    for key, option in options.items():
        if key in value or "default" in option:
            given = value.get(key, option.get("default"))
            filled[key] = _filled(given, option)
    return filled


def _filled(given: Any, option: dict[str, Any]) -> Any:
    if "options" in option:
        return _complete(given, option["options"])
    if "values" in option:
        return {name: _filled(item, option["values"]) for name, item in given.items()}
    return given


def _app_problems(name: Any, app: Any) -> Problems:
    key = f"apps.{name}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield key, "a name is 1 to 31 lower-case letters, digits and hyphens, beginning with a letter"
    elif name in _reserved_names() or name.startswith("systemd-"):
        yield key, "that name belongs to the system; choose another"
    if isinstance(app, dict):
        problems = list(_dict_problems(key, app, _options(app)))
        yield from problems or _settings_file(key, app)
    else:
        yield key, "must be a dictionary"


def _options(app: dict[str, Any]) -> dict[str, Any]:
    if app.get("state") != "absent":
        return schema()
    return {name: {**option, "required": False} for name, option in schema().items()}


def _dict_problems(key: str, value: dict[str, Any], options: dict[str, Any]) -> Problems:
    for name in value:
        if name not in options:
            close = difflib.get_close_matches(str(name), options, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(options)}"
            yield f"{key}.{name}", f"there is no such key; {hint}"
    for name, option in options.items():
        if name in value:
            yield from _value_problems(f"{key}.{name}", value[name], option)
        elif option.get("required"):
            yield f"{key}.{name}", f"is missing: {str(option['description']).split('. ')[0].rstrip('.')}"


def _value_problems(key: str, value: Any, option: dict[str, Any]) -> Problems:
    kind = option["type"]
    fits = isinstance(value, _TYPES[kind]) and not (kind == "int" and isinstance(value, bool))
    if not fits:
        yield key, f"must be {_WORDS[kind]}" + _quote_hint(kind, value)
        return
    if "choices" in option and value not in option["choices"]:
        yield key, f"must be one of {', '.join(option['choices'])}"
    if "minimum" in option and not option["minimum"] <= value <= option["maximum"]:
        yield key, f"must be from {option['minimum']} to {option['maximum']}"
    if "options" in option:
        yield from _dict_problems(key, value, option["options"])
    if "values" in option:
        yield from _named_problems(key, value, option["values"])
    if kind == "list":
        yield from _list_problems(key, value, option)
    elif "format" in option:
        yield from FORMATS[option["format"]](key, value)


def _named_problems(key: str, value: dict[Any, Any], option: dict[str, Any]) -> Problems:
    """A dictionary whose keys are names of the user's own; each becomes part of a unit's name."""
    for name, item in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield f"{key}.{name}", "a name is 1 to 31 lower-case letters, digits and hyphens, beginning with a letter"
        yield from _value_problems(f"{key}.{name}", item, option)


def _list_problems(key: str, value: list[Any], option: dict[str, Any]) -> Problems:
    if option.get("required") and not value:
        yield key, "must name at least one"
    for index, item in enumerate(value):
        place = f"{key}[{index}]"
        if not isinstance(item, str):
            yield place, "must be text" + _quote_hint("str", item)
        else:
            yield from FORMATS[option["format"]](place, item)


def _quote_hint(kind: str, value: Any) -> str:
    """Say why text is not text: YAML reads 0123, yes and 1e3 as something else unless they are quoted."""
    return "; put it in quotes" if kind == "str" and isinstance(value, bool | int | float) else ""


def _text(key: str, value: str) -> Problems:
    if not value or any(ord(character) < 32 or ord(character) == 127 for character in value):
        yield key, "must be one line of text, and not empty"


def _inside(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_./ -]*", value) or ".." in value.split("/") or value.endswith("/"):
        yield key, "must be a path inside the source: no leading slash, no .., plain characters"


def _wsgi(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\([\w\"'=, .-]*\))?", value):
        yield key, "must be module:object or module:factory(), for example wsgi:app"


def _domain(key: str, value: str) -> Problems:
    labels = value.split(".")
    good = all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", label) for label in labels)
    if not good or len(value) > 253 or len(labels) < 2 or labels[-1].isdigit():
        rule = "lower-case letters, digits and hyphens, no port, no wildcard, no trailing dot"
        yield key, f"must be a domain such as shop.example.com: {rule}; an international one in its xn-- form"


def _url_path(key: str, value: str) -> Problems:
    if not re.fullmatch(r"/[A-Za-z0-9_.~!&'()*+,=:@%/?-]*", value):
        yield key, "must be a path that begins with a slash, in plain characters"


def _url_prefix(key: str, value: str) -> Problems:
    if not re.fullmatch(r"(/[A-Za-z0-9_.-]+)+", value) or ".." in value.split("/"):
        yield key, "must be a path such as /static: a leading slash, no trailing one, plain characters"


def _source(key: str, value: dict[str, Any]) -> Problems:
    kinds = [kind for kind in ("git", "pip", "path") if kind in value]
    if not kinds or kinds == ["pip", "path"]:
        yield key, "must say where the code is by one of path, git and pip"
    if "git" in value and "pip" in value:
        yield key, "must be one of git and pip, not both"
    if "git" in value and "version" not in value:
        yield f"{key}.version", "is missing: the branch, tag or commit to deploy"
    for extra in {"version", "key"} & set(value):
        if "git" not in value:
            yield f"{key}.{extra}", "belongs to git, which is not there"


def _git_url(key: str, value: str) -> Problems:
    if re.match(r"https?://[^/]*@", value):
        yield key, "holds a password or user name; take it out and give a deploy key in key"
    elif not re.fullmatch(r"(https://|ssh://)[\w.@:/~+-]+|[\w.-]+@[\w.-]+:[\w./~+-]+", value) or value.startswith("-"):
        yield key, "must be an https:// or ssh:// URL, or user@host:path"


def _git_version(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z0-9][\w./+-]*", value) or ".." in value:
        yield key, "must be the name of a branch, a tag or a commit"


def _pin(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(\[[\w, -]+\])?==[A-Za-z0-9][\w.!+-]*", value):
        yield key, "must be a package with its version, such as ihatemoney==7.2.1"


def _interpreter(key: str, value: str) -> Problems:
    if not value.startswith("/"):
        if value and not PYTHON_VERSION.fullmatch(value):
            yield key, 'must be a version from 3.8 on, such as "3.12" or "3.12.9", or the path of an interpreter'
    elif not re.fullmatch(r"/[A-Za-z0-9_./-]+", value) or ".." in value.split("/"):
        yield key, "must be the absolute path of an interpreter, such as /usr/bin/python3"


def _calendar(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z0-9*:./,~ -]+", value):
        yield key, "must be a time as systemd writes it, such as daily or Mon 03:00"


def _command(key: str, value: str) -> Problems:
    if "\n" in value or "\0" in value:
        yield key, "must be one line"
        return
    try:
        shlex.split(value)
    except ValueError as error:
        yield key, f"cannot be split into words: {error}"


def _variable(key: str, name: Any) -> Problems:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        yield key, "an environment variable's name is letters, digits and underscores, not beginning with a digit"
    elif name.startswith("LD_") or name in {"PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "RELEASE_ID"}:
        yield key, "this variable decides what code runs; Slipway sets it or leaves it out"


def _env(key: str, value: dict[Any, Any]) -> Problems:
    for name, text in value.items():
        place = f"{key}.{name}"
        yield from _variable(place, name)
        if not isinstance(text, str):
            yield place, "must be text" + _quote_hint("str", text)
        elif problem := _text_problem(text) or _env_problem(f"{name}={text}"):
            yield place, problem


def _text_problem(text: str) -> str | None:
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


def _settings(key: str, value: Any) -> Problems:
    """Settings may be any text but NUL, numbers, booleans, lists, dictionaries with names for keys."""
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                yield f"{key}.{name}", "a setting's name must be text; put it in quotes"
            yield from _settings(f"{key}.{name}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _settings(f"{key}[{index}]", item)
    elif isinstance(value, str):
        if problem := _text_problem(value):
            yield key, problem
    elif not isinstance(value, bool | int | float | None):
        yield (
            key,
            f"must be text, a number, true, false, null, a list or a dictionary, and is a {type(value).__name__}",
        )


def _settings_file(key: str, app: dict[str, Any]) -> Problems:
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


FORMATS: dict[str, Callable[[str, Any], Problems]] = {
    "text": _text,
    "inside": _inside,
    "wsgi": _wsgi,
    "domain": _domain,
    "url_path": _url_path,
    "url_prefix": _url_prefix,
    "command": _command,
    "variable": _variable,
    "env": _env,
    "settings": _settings,
    "source": _source,
    "git_url": _git_url,
    "git_version": _git_version,
    "pin": _pin,
    "interpreter": _interpreter,
    "calendar": _calendar,
}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "apps_problems": apps_problems,
            "apps_complete": apps_complete,
            "apps_public": apps_public,
            "apps_absent": apps_absent,
            "apps_pythons": apps_pythons,
        }
