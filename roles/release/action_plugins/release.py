"""The controller's half of a deploy: pack the source, ask the host what it lacks, send only that."""

from __future__ import annotations

import base64
import getpass
import hashlib
import io
import json
import os
import socket
import stat
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# What no release needs and a directory without git cannot tell us to leave out.
_NEVER = {
    ".git",
    ".venv",
    "venv",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    "node_modules",
    ".env",
}
_PROGRAM = Path(__file__).resolve().parent.parent / "files" / "slipway"
# A fixed time in archives, so that the same content is the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Source:
    """A source tree on the controller.

    Args:
        root: its directory.

    Attributes:
        files: what belongs to it, relative to `root`, sorted.
        digest: a hash of the names, kinds and contents of all files.
        revision: the git commit where the tree is a clean checkout, else None.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise AnsibleActionFail(f"source.path: there is no directory {root}")
        self.root = root
        self.files = _tracked(root) or _walk(root)
        if not self.files:
            raise AnsibleActionFail(f"source.path: the directory {root} is empty")
        self.digest = self._hash()
        self.revision = _revision(root)

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for name in self.files:
            path = self.root / name
            mode = path.lstat().st_mode
            content = os.readlink(path).encode() if stat.S_ISLNK(mode) else path.read_bytes()
            kind = "link" if stat.S_ISLNK(mode) else "program" if mode & 0o100 else "file"
            digest.update(f"{name}\0{kind}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()

    def pack(self, target: Path) -> None:
        """Write a compressed archive of the tree to `target`."""
        with tarfile.open(target, "w:gz", compresslevel=6) as archive:
            for name in self.files:
                archive.add(self.root / name, name, recursive=False)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout


def _tracked(root: Path) -> list[str]:
    """The files that git tracks or would track; empty outside a checkout."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard") or ""
    # A tracked file that was deleted is still listed.
    return sorted(name for name in set(listed.split("\0")) if name and os.path.lexists(root / name))


def _walk(root: Path) -> list[str]:
    names = []
    for directory, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _NEVER]
        links = [name for name in folders if (Path(directory) / name).is_symlink()]
        names += [
            str((Path(directory) / name).relative_to(root))
            for name in (*files, *links)
            if name not in _NEVER and not name.endswith(".pyc")
        ]
    return sorted(names)


def _revision(root: Path) -> str | None:
    if _git(root, "status", "--porcelain", "--", ".") != "":
        return None
    return (_git(root, "rev-parse", "HEAD") or "").strip() or None


def program() -> bytes:
    """The host's program as one executable zip file, byte for byte the same each time."""
    buffer = io.BytesIO()
    buffer.write(b"#!/usr/bin/python3\n")
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            zipfile.ZipInfo("__main__.py", _EPOCH),
            b"from slipway.cli import main\n\nraise SystemExit(main())\n",
        )
        for path in sorted(_PROGRAM.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"slipway/{path.name}", _EPOCH), path.read_bytes())
    return buffer.getvalue()


def request(name: str, app: dict[str, Any], source: Source, options: dict[str, Any]) -> dict[str, Any]:
    """What the host is asked for one app: the `Spec` of the slipway program, as JSON."""
    health, file = app.get("health") or {}, app.get("settings_file") or {}
    data = {
        "app": name,
        "source": source.digest,
        "revision": source.revision,
        "health": {"host": app["domains"][0], **health},
        "settings": {
            "values": app.get("settings") or {},
            "form": file.get("format", "json"),
            "variable": file.get("variable", "APP_SETTINGS"),
        },
        "env": app.get("env") or {},
        "python": options["python"],
        "config_files": [path.format(app=name) for path in options["config_files"]],
        "unit_files": [path.format(app=name) for path in options["unit_files"]],
        "release_command": app.get("release_command") or "",
        "static": (app.get("static") or {}).get("path") or "",
        "shared": app.get("shared") or [],
        "keep": options["keep"],
        "lock_timeout": options["lock_timeout"],
        "front": options["front"],
        "actor": f"{getpass.getuser()}@{socket.gethostname()}",
    }
    if app.get("requirements"):
        data["requirements"] = app["requirements"]
    return data


class ActionModule(ActionBase):
    """Runs the `release` task; see the module of the same name for its options."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars
        self._program = program()
        match self._task.args.get("state", "deployed"):
            case "deployed":
                self._deploy(result)
            case "rolled_back":
                self._rollback(result)
            case "listed":
                result["apps"] = self._slipway(["status"])
            case other:
                raise AnsibleActionFail(f"state: {other!r} is not one of deployed, rolled_back, listed")
        return result

    def _deploy(self, result: dict[str, Any]) -> None:
        options = self._task.args.get("options", {})
        apps = self._task.args.get("apps") or {}
        root = Path(options["root"])
        sources = {name: Source(root / Path(app["source"]["path"]).expanduser()) for name, app in apps.items()}
        requests = {name: request(name, app, sources[name], options) for name, app in apps.items()}
        plans = self._slipway(["plan"], list(requests.values()), may_be_missing=self._task.check_mode)
        if plans is None:
            # Check mode on a host that Slipway has never been on: every app would be deployed.
            plans = [{"app": name, "release": None, "current": None, "changed": True} for name in apps]
        releases = {}
        for plan in plans:
            name = plan["app"]
            releases[name] = {
                "release": plan["release"],
                "previous": plan["current"],
                "changed": plan["changed"],
            }
            if plan["changed"] and not self._task.check_mode:
                releases[name] = self._carry_out(requests[name], None if plan["present"] else sources[name])
        result["releases"] = releases
        result["changed"] = any(release["changed"] for release in releases.values())

    def _carry_out(self, request: dict[str, Any], source: Source | None) -> Any:
        if source is None:
            return self._slipway(["deploy"], request)
        remote = self._make_tmp_path()
        try:
            with tempfile.TemporaryDirectory() as local:
                archive = Path(local) / "source.tar.gz"
                source.pack(archive)
                path = self._transfer_file(str(archive), f"{remote}/{archive.name}")
            return self._slipway(["deploy", "--archive", path], request)
        finally:
            self._remove_tmp_path(remote)

    def _rollback(self, result: dict[str, Any]) -> None:
        app, release = self._task.args["app"], self._task.args.get("release")
        if self._task.check_mode:
            result["skipped"] = True
            return
        answer = self._slipway(["rollback", app, *([release] if release else [])])
        result["releases"] = {app: answer}
        result["changed"] = answer["changed"]

    def _slipway(self, arguments: list[str], request: Any = None, *, may_be_missing: bool = False) -> Any:
        """Call the program on the host, installing it first where it is missing or another version."""
        call = {
            "arguments": arguments,
            "request": "" if request is None else json.dumps(request),
            "program_digest": hashlib.sha256(self._program).hexdigest(),
        }
        answer = self._execute_module("release", module_args=call, task_vars=self._task_vars)
        if answer.get("missing") and not may_be_missing:
            call["program"] = base64.b64encode(self._program).decode()
            answer = self._execute_module("release", module_args=call, task_vars=self._task_vars)
        if answer.get("failed") or answer.get("unreachable"):
            raise AnsibleActionFail(answer.get("msg", "the host did not answer"), result=answer)
        return answer.get("answer")
