"""Finds everything that is wrong with what was said of a host, on the controller, and says it in one message."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

_FILES = Path(__file__).resolve().parent.parent / "files"
# Ansible loads a plugin by its path and knows no package around it.
sys.path.append(str(_FILES))
from app_rules.described import Problems, renamed  # noqa: E402
from input_rules import places, secrets  # noqa: E402
from input_rules.described import known  # noqa: E402
from input_rules.names import name_problems  # noqa: E402
from input_rules.told import told  # noqa: E402
from input_rules.values import input_problems  # noqa: E402


def split(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Key and text of problems that a filter has found, one line each."""
    for line in lines:
        key, _, text = line.partition(": ")
        yield key, text


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
            result["msg"] = told(problems, functools.partial(places.place, variables=variables))
        result["changed"] = False
        return result

    def _problems(self, variables: dict[str, Any]) -> Problems:
        options = self._task.args
        inputs = known(Path(options["project"]))
        yield from split(options.get("found", []))
        yield from name_problems(variables, inputs, renamed("variables"))
        yield from input_problems(variables, inputs, self._templar.template)
        folder = Path(str(variables["inventory_dir"])) / "group_vars"
        yield from secrets.file_problems(folder, ["all", *variables["group_names"]])
        yield from secrets.secret_problems(variables, options["secrets"])
        yield from secrets.plain_problems(variables, options.get("plain_in", []))
        yield from secrets.written_problems(variables, options["secrets"])
