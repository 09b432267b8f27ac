"""The controller's half of `rendered_files`: renders every template, and sends them all to the host at once."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

# Ansible loads a plugin by its path and knows no package around it.
sys.path.append(str(Path(__file__).resolve().parent.parent / "files"))
from as_wanted import Wanted

PLACEHOLDER = "{app}"
# What stands for the options that only the controller needs.
_OWN = ("files", "apps", "app_variable", "prune", "validate")


@dataclass(frozen=True)
class File:
    """One file to render.

    Args:
        asked: its path as the task names it.
        path: its path on the host.
        template: its template, below templates/.
        variables: what the template is given besides the task's own variables.
        app: the app that it belongs to; empty for none.
        secret: whether what it holds is nobody's business.
        mode: its permissions, where they differ from the others'.
        group: its group, where that differs from the others'.
    """

    asked: str
    path: str
    template: str
    variables: dict[str, Any]
    app: str = ""
    secret: bool = False
    mode: str | None = None
    group: str | None = None


def _described(file: str | dict[str, Any]) -> dict[str, Any]:
    return file if isinstance(file, dict) else {"path": file}


def wanted(files: list[Any], apps: dict[str, Any], app_variable: str) -> Iterator[File]:
    """Each file that a task's options ask for."""
    for file in files:
        described = _described(file)
        path, variables = described["path"], described.get("variables") or {}
        # A path alone says which template it has, `app` standing for any app's name there.
        template = described.get("template") or path.lstrip("/").replace(PLACEHOLDER, "app")
        more = {key: described[key] for key in ("secret", "mode", "group") if key in described}
        if PLACEHOLDER not in path:
            yield File(path, path, f"{template}.j2", variables, **more)
            continue
        for name in sorted(apps):
            own = {app_variable: {"key": name, "value": apps[name]}, **variables}
            yield File(path, path.replace(PLACEHOLDER, name), f"{template}.j2", own, app=name, **more)


class ActionModule(ActionBase):
    """Runs the `rendered_files` task; see the module of the same name for its options."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments, variables = dict(self._task.args), dict(task_vars or {})
        # As for any template of Ansible's.
        variables.setdefault("ansible_managed", getattr(constants, "DEFAULT_MANAGED_STR", "Ansible managed"))
        files = list(
            wanted(arguments.get("files") or [], arguments.get("apps") or {}, arguments.get("app_variable") or "app")
        )
        commands = arguments.get("validate") or {}
        if unknown := set(commands) - {file.asked for file in files}:
            raise AnsibleActionFail(f"validate: {', '.join(sorted(unknown))} is not among the files")
        call = {key: value for key, value in arguments.items() if key not in _OWN}
        texts = {file.path: self._render(file, variables | file.variables) for file in files}
        # An app's template that gives nothing has nothing to say for that app.
        files = [file for file in files if texts[file.path].strip() or not file.app]
        call["rendered"] = [
            {
                "path": file.path,
                "content": None if file.secret else texts[file.path],
                "validate": commands.get(file.asked),
                "app": file.app,
                "mode": file.mode,
                "group": file.group,
            }
            for file in files
        ]
        call["secrets"] = {file.path: texts[file.path] for file in files if file.secret}
        if arguments.get("prune"):
            paths = [_described(file)["path"] for file in arguments["files"]]
            call["prune"] = [path.replace(PLACEHOLDER, "*") for path in paths if PLACEHOLDER in path]
            call["marker"] = str(variables["ansible_managed"])
        if self._as_wanted(call, {file.path: texts[file.path] for file in files}):
            result.update(changed=False, files=[], removed=[], diff=[])
        else:
            result.update(self._execute_module("rendered_files", module_args=call, task_vars=task_vars))
        return result

    def _as_wanted(self, call: dict[str, Any], texts: dict[str, str]) -> bool:
        """Whether there is nothing to do, which is known without the module for a third of its time."""
        owner, group, mode = call.get("owner", "root"), call.get("group", "root"), call.get("mode", "0644")
        files = {
            file["path"]: (texts[file["path"]].encode(), file["mode"] or mode, file["group"] or group)
            for file in call["rendered"]
        }
        patterns = call.get("prune", []) if call.get("marker") else []
        wanted = Wanted(owner, group, call.get("directories") or [], files, patterns, call.get("pending") or "")
        command = shlex.join(["sh", "-c", 'eval "$(cat)"'])
        said = self._low_level_execute_command(command, in_data=wanted.script().encode())
        return bool(said["rc"] == 0 and said["stdout"].splitlines() == wanted.answer())

    def _render(self, file: File, variables: dict[str, Any]) -> str:
        source = Path(self._find_needle("templates", file.template))
        # Where any template of Ansible's looks for another one.
        folders = [path for root in variables.get("ansible_search_path", []) for path in (f"{root}/templates", root)]
        text = trust_as_template(self._loader.get_text_file_contents(str(source)))
        templar = self._templar.copy_with_new_env(
            searchpath=[str(source.parent), *folders], available_variables=variables
        )
        try:
            rendered = templar.template(text, escape_backslashes=False)
        except Exception as error:
            raise AnsibleActionFail(f"The template of {file.path} cannot be rendered") from error
        # Ansible takes a template that gives nothing for None.
        return "" if rendered is None else str(rendered)
