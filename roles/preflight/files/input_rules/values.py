"""The values of the roles' inputs, all looked at before the first role runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from app_rules.described import Problems
from app_rules.walk import value_problems

from input_rules.described import Known

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def input_problems(variables: Mapping[str, Any], known: Known, filled: Callable[[Any], Any]) -> Problems:
    """What is wrong with the inputs that were given.

    Args:
        variables: all of a host's, with their templates.
        known: the inputs.
        filled: fills a value's templates in.
    """
    for name, option in known.options.items():
        # A default, and what group_vars/all makes of other variables, is right where those are.
        meant = [source[name] for source, name in ((option, "default"), (known.wiring, name)) if name in source]
        if name in variables and variables[name] not in meant:
            try:
                value = filled(variables[name])
            except AnsibleUndefinedVariable as error:
                yield name, f"holds a template that cannot be filled in: {error.message}"
            except AnsibleError:
                yield name, "holds a template that cannot be filled in"
            else:
                yield from _value(name, value, option)


def _value(name: str, value: Any, option: dict[str, Any]) -> Problems:
    default = option.get("default")
    if value is None or (value == "" and default not in ("", None)):
        rest = f"; leave it out for the default, {default}" if isinstance(default, str | int) else ""
        yield name, f"is empty{rest}"
    elif value != "":
        yield from value_problems(name, _converted(value, option["type"]), option)


def _converted(value: Any, kind: str) -> Any:
    """What -e gives is text, and a template's result may be."""
    if kind == "int" and isinstance(value, str) and value.isascii() and value.lstrip("-").isdigit():
        return int(value)
    if kind == "bool" and isinstance(value, str | int):
        return _BOOLEANS.get(str(value).lower(), value)
    return value
