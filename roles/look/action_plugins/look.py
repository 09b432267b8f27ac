"""Runs a shell script that changes nothing on a host, without starting Python there."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.plugins.action import ActionBase

_OPTIONS = {
    "script": {"type": "str", "required": True},
    "arguments": {"type": "list", "elements": "str", "default": []},
}
# The script comes on standard input: no terminal is needed then, and errors stay apart from what it says.
_SHELL = 'eval "$(cat)"'


class ActionModule(ActionBase):
    """Runs the `look` task; see the module of the same name for its options."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(_OPTIONS)
        said = self._low_level_execute_command(
            shlex.join(["sh", "-c", _SHELL, "look", *options["arguments"]]), in_data=options["script"].encode()
        )
        text = said["stdout"].rstrip("\r\n")
        result.update(changed=False, rc=said["rc"], stdout=text, stdout_lines=text.splitlines())
        if said["rc"]:
            result["failed"] = True
            result["msg"] = said["stderr"].strip() or f"the look ended with exit code {said['rc']}: {text}"
        return result
