"""Looks at a machine in one round trip, before anything on it changes, and says all that stands in the way."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

_FILES = Path(__file__).resolve().parent.parent / "files"
# Ansible loads a plugin by its path and knows no package around it.
sys.path.append(str(_FILES))
from machine_look.facts import Facts, parsed  # noqa: E402
from machine_look.judged import Wanted, common_problems, machine_problems  # noqa: E402
from machine_look.versions import version_problems  # noqa: E402

_OPTIONS = {
    "purpose": {"type": "str", "choices": ["provision", "deploy"], "required": True},
    "version": {"type": "str", "required": True},
    "changes": {"type": "path", "required": True},
    "acknowledged": {"type": "str", "default": ""},
    "directories": {"type": "list", "elements": "path", "default": []},
    "ports": {"type": "list", "elements": "int", "default": []},
    "apps": {"type": "list", "elements": "str", "default": []},
    "apt_timeout": {"type": "int", "default": 0},
    "wanted": {"type": "dict", "default": {}},
}
_PAUSE = 3


def skew(clock: float, before: float, after: float) -> float:
    """Seconds that a clock is off at least: ahead or, negative, behind; `before` and `after` it was asked."""
    if before <= clock <= after:
        return 0.0
    return clock - after if clock > after else clock - before


class ActionModule(ActionBase):
    """Runs the `machine_state` task; see the module of the same name for its options."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(_OPTIONS)
        facts, off = self._look(options)
        problems = list(self._problems(facts, off, options))
        # Worth a wait only where nothing else has to be put right first.
        if facts.locks and not problems:
            facts = self._wait(facts, options, str((task_vars or {}).get("inventory_hostname")))
            problems = list(self._problems(facts, off, options))
        for pid, name in facts.locks.items():
            problems.append(("packages", f"are being changed by {name} (process {pid}): wait until it has ended"))
        result.update(changed=False, version=facts.version, redis=facts.redis)
        if problems:
            result["failed"] = True
            lines = [f"{name}: {text}" for name, text in problems]
            result["msg"] = "\n  - ".join([f"Nothing was changed: {len(lines)} to put right on the host", *lines])
        return result

    def _look(self, options: dict[str, Any]) -> tuple[Facts, float]:
        ports = " ".join(f"{port:04X}" for port in options["ports"])
        words = [options["purpose"], " ".join(options["directories"]), ports, " ".join(options["apps"])]
        script = (_FILES / "look.sh").read_text()
        before = time.time()
        said = self._low_level_execute_command(shlex.join(["sh", "-c", script, "look", *words]))
        after = time.time()
        facts = parsed(said["stdout"])
        if said["rc"] or not facts.clock:
            why = said["stderr"].strip() or said["stdout"].strip()
            raise AnsibleActionFail(f"The machine cannot be looked at: {why}")
        return facts, skew(facts.clock, before, after)

    def _wait(self, facts: Facts, options: dict[str, Any], host: str) -> Facts:
        """Wait for who holds apt's locks, such as the first upgrade of a new machine."""
        end = time.monotonic() + options["apt_timeout"]
        names = ", ".join(sorted(set(facts.locks.values())))
        Display().display(f"{host}: waiting for {names}, up to {options['apt_timeout']} seconds")
        while facts.locks and time.monotonic() < end:
            time.sleep(_PAUSE)
            facts, _ = self._look(options)
        return facts

    def _problems(self, facts: Facts, off: float, options: dict[str, Any]) -> Iterator[tuple[str, str]]:
        wanted = Wanted(**options["wanted"])
        changes = yaml.safe_load(Path(options["changes"]).read_text())
        yield from version_problems(facts.version, options["version"], changes, options["acknowledged"])
        yield from common_problems(facts, wanted, off)
        if options["purpose"] == "provision":
            yield from machine_problems(facts, wanted)
