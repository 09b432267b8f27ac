"""The roles' inputs: from each role's argument specs, with what those cannot say from `files/inputs.yml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from app_rules.described import read_yaml

_FILES = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Known:
    """All that a variable of the project's may be called.

    Args:
        options: each input of a role and each variable that several roles share, with its type and rules.
        roles: the names of the roles, which their inputs begin with.
        wiring: the variables of group_vars/all as they stand there.
        mentioned: words in the wiring, which may be variables given on the command line or by a role.
    """

    options: dict[str, dict[str, Any]]
    roles: list[str]
    wiring: dict[str, Any] = field(default_factory=dict)
    mentioned: frozenset[str] = frozenset()


def known(project: Path) -> Known:
    """What the roles beside this one take, and what the project's group_vars/all wires."""
    options: dict[str, dict[str, Any]] = {}
    specs = sorted(project.glob("roles/*/meta/argument_specs.yml"))
    for path in specs:
        for entry in read_yaml(path)["argument_specs"].values():
            options |= entry.get("options", {})
    wiring_file = project / "group_vars" / "all" / "main.yml"
    text = wiring_file.read_text() if wiring_file.exists() else ""
    wiring = yaml.load(text, Loader=yaml.CSafeLoader) or {} if text else {}
    for name, rules in read_yaml(_FILES / "inputs.yml").items():
        if name in options or "type" in rules:
            options[name] = {**options.get(name, {}), **rules}
    words = frozenset("".join(c if c.isidentifier() or c.isdigit() else " " for c in text).split())
    return Known(options, [path.parent.parent.name for path in specs], wiring, words)
