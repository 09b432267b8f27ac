"""Finds everything that is wrong with what was said of a host, on the controller, and says it in one message."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.context import CLIARGS
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.plugins.action import ActionBase

_FILES = Path(__file__).resolve().parent.parent / "files"
# Ansible loads a plugin by its path and knows no package around it.
sys.path.append(str(_FILES))
import secret_rules  # noqa: E402
from app_rules.described import Problems, renamed  # noqa: E402
from input_rules import places, secrets  # noqa: E402
from input_rules.described import known  # noqa: E402
from input_rules.given import given  # noqa: E402
from input_rules.names import name_problems  # noqa: E402
from input_rules.told import told  # noqa: E402
from input_rules.values import input_problems  # noqa: E402


def split(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Key and text of problems that a filter has found, one line each."""
    for line in lines:
        key, _, text = line.partition(": ")
        yield key, text


def _typed() -> tuple[str, ...]:
    """What stands behind each -e."""
    return tuple(CLIARGS.get("extra_vars") or ())


class ActionModule(ActionBase):
    """Runs the `checked_inputs` task; see the module of the same name for its options."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        problems = list(self._problems(variables))
        if problems:
            result["failed"] = True
            result["msg"] = told(problems, lambda key: given(key, _typed()) or places.place(key, variables))
        result["changed"] = False
        return result

    def _broken(self, variables: dict[str, Any], names: list[str]) -> Problems:
        """Each place whose template cannot be filled in."""
        for name in names:
            for place, value in secret_rules.leaves(name, variables.get(name)):
                try:
                    self._templar.template(value)
                except AnsibleUndefinedVariable as error:
                    yield place, f"holds a template that cannot be filled in: {error.message}"
                except AnsibleError:
                    yield place, "holds a template that cannot be filled in"

    def _problems(self, variables: dict[str, Any]) -> Problems:
        options = self._task.args
        inputs = known(Path(options["project"]))
        broken = list(self._broken(variables, options.get("written_in", [])))
        yield from broken
        # What filters find, they find in values, which are not to be had then.
        for name in [] if broken else options.get("found_in", []):
            yield from split(self._templar.template(variables[name]))
        yield from name_problems(variables, inputs, renamed("variables"))
        yield from input_problems(variables, inputs, self._templar.template)
        folder = Path(str(variables["inventory_dir"])) / "group_vars"
        yield from secrets.file_problems(folder, ["all", *variables["group_names"]])
        yield from secrets.secret_problems(variables, options["secrets"], _typed())
        yield from secrets.plain_problems(variables, options.get("written_in", []))
        yield from secrets.written_problems(variables, options["secrets"])
