"""Looks at secrets as the vault holds them, before any template is filled in: afterwards it is too late to tell."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.template import is_trusted_as_template

ENCRYPTED = b"$ANSIBLE_VAULT;"


@functools.cache
def _rules() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "files" / "secret_rules.py"
    spec = importlib.util.spec_from_file_location("secret_rules", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def secret_problems(variables: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """What is wrong with the variables whose name begins with `prefix`, one line each; values are never shown."""
    rules = _rules()
    for name in sorted(name for name in variables if name.startswith(prefix)):
        for place, value in rules.leaves(name, variables[name]):
            if problem := rules.weakness(place, value):
                yield f"{place}: {problem}"
            elif is_trusted_as_template(value) and rules.reads_as_text(value):
                yield f"{place}: would be taken for a template; put !unsafe before the quoted secret"


def plain_problems(variables: Mapping[str, Any], names: list[str]) -> Iterator[str]:
    """Secrets that are written out in other variables, before their templates are filled in."""
    for name in names:
        for place in _rules().plain(name, variables.get(name)):
            yield f"{place}: is a secret in plain text; move it to the vault and name its variable here"


def file_problems(folder: Path, groups: list[str]) -> Iterator[str]:
    """The vaults of the groups that lie there in plain text."""
    for group in groups:
        path = folder / group / "vault.yml"
        if path.is_file() and not path.read_bytes().startswith(ENCRYPTED):
            command = f"ansible-vault encrypt --encrypt-vault-id {group} group_vars/{group}/vault.yml"
            yield f"group_vars/{group}/vault.yml is not encrypted: {command}"


class ActionModule(ActionBase):
    """Runs the `vault_secrets` task; see the module of the same name for its options."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        folder = Path(str(variables["inventory_dir"])) / "group_vars"
        problems = [
            *file_problems(folder, ["all", *variables["group_names"]]),
            *secret_problems(variables, self._task.args["prefix"]),
            *plain_problems(variables, self._task.args.get("plain_in", [])),
        ]
        if problems:
            result["failed"] = True
            result["msg"] = "\n  - ".join(
                [f"Nothing was changed: {len(problems)} to put right in the secrets", *problems]
            )
        result["changed"] = False
        return result
