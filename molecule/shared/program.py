"""The host's program, called as the release role calls it: a deploy without Ansible, which takes seconds less."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from molecule.shared.vps import PROJECT, Vps


class RefusedError(Exception):
    """The host's program ended with an error; the message is what it said.

    Attributes:
        code: its exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def _plugin(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, PROJECT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _options() -> dict[str, Any]:
    """Return what the release role passes to its plugin where nobody says otherwise."""
    defaults = yaml.safe_load((PROJECT / "roles/release/defaults/main.yml").read_text())
    wired = yaml.safe_load((PROJECT / "roles/release/vars/main.yml").read_text())["__release_options"]
    named = {key: value.strip("{} ") for key, value in wired.items()}
    return {key: defaults[name] for key, name in named.items() if name in defaults}


def apps(vps: Vps, *arguments: str) -> dict[str, Any]:
    """Return the apps of a host, with their secrets filled in, as its inventory and further arguments have them."""
    command = ["ansible", *vps.inventory, vps.host, "-m", "ansible.builtin.debug", "-a", "var=apps", *arguments]
    variables = {"ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout)["plays"][0]["tasks"][0]["hosts"][vps.host]["apps"])


class Program:
    """The program on one host.

    Args:
        vps: the host.
        scratch: a directory for the archives that are sent.
    """

    def __init__(self, vps: Vps, scratch: Path) -> None:
        self.vps = vps
        self.scratch = scratch
        self._release = _plugin("roles/release/action_plugins/release.py")
        self._apps = _plugin("roles/preflight/filter_plugins/apps.py")

    def __call__(self, *arguments: str, request: Any = None, fault: str = "") -> Any:
        """Return its answer.

        Args:
            arguments: its own.
            request: what it reads as JSON.
            fault: the point where it is to stand still.

        Raises:
            RefusedError: it ended with an error.
        """
        command = f"{f'SLIPWAY_FAULT={fault} ' if fault else ''}slipway --json {shlex.join(arguments)}"
        data = json.dumps(request) if request else ""
        result = subprocess.run([*self.vps.shell, command], input=data, capture_output=True, text=True, check=False)
        try:
            answer = json.loads(result.stdout)
        except ValueError:
            raise RefusedError(result.stdout + result.stderr, result.returncode) from None
        if result.returncode:
            raise RefusedError(answer["msg"], result.returncode)
        return answer

    def request(self, name: str, app: dict[str, Any]) -> dict[str, Any]:
        """Return what the release role would ask for, for an app as a user describes it."""
        whole = self._apps.apps_complete({name: app})[name]
        return dict(self._release.request(name, whole, self._release.find(name, whole, PROJECT), _options()))

    def send(self, name: str, app: dict[str, Any]) -> str:
        """Pack an app's source and send it; return where it is on the host."""
        archive = self.scratch / f"{name}-{Path(app['source']['path']).name}.tar.gz"
        self._release.find(name, app, PROJECT).pack(archive)
        target = f"/root/{archive.name}"
        subprocess.run([*self.vps.shell, f"cat >{target}"], input=archive.read_bytes(), check=True)
        return target

    def deploy(self, name: str, app: dict[str, Any]) -> dict[str, Any]:
        """Deploy an app as `playbooks/deploy.yml` would.

        Raises:
            RefusedError: the deploy failed; the message is what the playbook would show.
        """
        return dict(self("deploy", "--archive", self.send(name, app), request=self.request(name, app)))
