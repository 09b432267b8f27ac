"""Asks domains for a challenge of the host's, as an authority will, before it does: from the controller."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Ansible loads a plugin by its path and knows no package around it.
sys.path.append(str(Path(__file__).resolve().parent.parent / "files" / "reach"))
from challenge import Question, problem

_OPTIONS = {
    "apps": {"type": "dict", "required": True},
    "host": {"type": "str", "required": True},
    "token": {"type": "str", "required": True},
    "port": {"type": "int", "default": 80},
    "resolver": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 5},
}


class ActionModule(ActionBase):
    """Runs the `reachable_domains` task; see the module of the same name for its options."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=_OPTIONS)
        question = Question(options["host"], options["token"], options["port"], options["resolver"], options["timeout"])
        domains = [(app, domain) for app, listed in options["apps"].items() for domain in listed]
        with ThreadPoolExecutor(max_workers=16) as pool:
            found = list(pool.map(lambda pair: problem(pair[1], question), domains))
        problems: dict[str, list[str]] = {}
        for (app, _), text in zip(domains, found, strict=True):
            if text:
                problems.setdefault(app, []).append(text)
        return result | {"changed": False, "problems": problems}
