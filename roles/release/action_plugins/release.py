"""The controller's half of a deploy: pack the source, ask the host what it lacks, send only that."""

from __future__ import annotations

import base64
import getpass
import hashlib
import io
import json
import shlex
import socket
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

_FILES = Path(__file__).resolve().parent.parent / "files"
_PROGRAM = _FILES / "slipway"
_UNITS = "/etc/systemd/system"
# Ansible loads a plugin by its path and knows no package around it.
sys.path.append(str(_FILES))
from packing.source import Source, SourceError, find  # noqa: E402

# No exit code of the program's own.
_MISSING = 93
# Calls the program if it is the one with this digest.
_CALL = f"""
[ "$(sha256sum </usr/local/bin/slipway 2>/dev/null)" = "$1  -" ] || exit {_MISSING}
shift; exec /usr/local/bin/slipway --json "$@"
"""
# A fixed time in archives, so that the same content is the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def program() -> bytes:
    """The host's program as one executable zip file, byte for byte the same each time."""
    buffer = io.BytesIO()
    buffer.write(b"#!/usr/bin/python3\n")
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            zipfile.ZipInfo("__main__.py", _EPOCH),
            b"from slipway.cli import main\n\nraise SystemExit(main())\n",
        )
        for path in sorted(_PROGRAM.rglob("*.py")):
            name = path.relative_to(_PROGRAM).as_posix()
            archive.writestr(zipfile.ZipInfo(f"slipway/{name}", _EPOCH), path.read_bytes())
    return buffer.getvalue()


def interpreter(wanted: str, directory: str) -> str:
    """Where the host has the Python that an app names by path or, below `directory`, by version."""
    if wanted.startswith("/"):
        return wanted
    minor = ".".join(wanted.split(".")[:2])
    return f"{directory}/{wanted}/bin/python{minor}"


def database(name: str, app: dict[str, Any]) -> dict[str, Any]:
    """Where an app's data is, for the host's program."""
    if app.get("database") != "postgresql":
        return {"kind": "sqlite"}
    options = app.get("postgresql", {})
    if not options.get("host"):
        return {"kind": "postgresql", "name": name, "user": name}
    return {"kind": "postgresql", "name": name, "user": options["login"], "host": options["host"]}


def request(name: str, app: dict[str, Any], source: Source, options: dict[str, Any]) -> dict[str, Any]:
    """What the host is asked for one app: the `Spec` of the slipway program, as JSON."""
    health, file = app.get("health") or {}, app.get("settings_file") or {}
    workers, timers = app.get("workers") or {}, app.get("timers") or {}
    units = [path.format(app=name) for path in options["unit_files"]]
    units += [f"{_UNITS}/{name}.{worker}@.service" for worker in workers]
    units += [f"{_UNITS}/{name}.{timer}.{kind}" for timer in timers for kind in ("service", "timer")]
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
        "python": interpreter(app.get("python") or options["python"], options["python_directory"]),
        "config_files": [path.format(app=name) for path in options["config_files"]],
        "unit_files": units,
        "release_command": app.get("release_command") or "",
        "migrate": options.get("migrate", True),
        "migrations": app.get("migrations"),
        "hooks": app.get("hooks") or {},
        "workers": workers,
        "timers": {timer: about["command"] for timer, about in timers.items()},
        "static": (app.get("static") or {}).get("path") or "",
        "packaged": "pip" in app["source"],
        "shared": app.get("shared") or [],
        "keep": options["keep"],
        "lock_timeout": options["lock_timeout"],
        "front": options["front"],
        "database": database(name, app),
        "guarded": bool(app.get("access", {}).get("users") or app.get("access", {}).get("allow")),
        "actor": f"{getpass.getuser()}@{socket.gethostname()}",
    }
    if app.get("requirements") and not data["packaged"]:
        data["requirements"] = app["requirements"]
    return data


def manifest(source: Source, request: dict[str, Any]) -> dict[str, Any]:
    """What the host needs to say by name what a deploy changes."""
    return {"files": source.files(), "lock": source.read(request.get("requirements", "requirements.txt"))}


class ActionModule(ActionBase):
    """Runs the `release` task; see the module of the same name for its options."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars
        self._program = program()
        match self._task.args.get("state", "deployed"):
            case "deployed":
                try:
                    self._deploy(result)
                except SourceError as error:
                    raise AnsibleActionFail(str(error)) from None
            case "rolled_back":
                self._rollback(result)
            case "listed":
                result["apps"] = self._slipway(["status"])
                result["releases"] = {row["app"]: self._slipway(["releases", row["app"]]) for row in result["apps"]}
            case "removed":
                self._remove(result)
            case "backed_up":
                self._back_up(result)
            case "restored":
                self._restore(result)
            case other:
                raise AnsibleActionFail(
                    f"state: {other!r} is not one of deployed, rolled_back, listed, removed, backed_up, restored"
                )
        return result

    def _deploy(self, result: dict[str, Any]) -> None:
        options = self._task.args.get("options", {})
        apps = self._task.args.get("apps") or {}
        root = Path(options["root"])
        sources = {name: find(name, app, root) for name, app in apps.items()}
        requests = {name: request(name, app, sources[name], options) for name, app in apps.items()}
        if self._task.diff:
            for name, source in sources.items():
                requests[name] |= manifest(source, requests[name])
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
                for warning in releases[name]["warnings"]:
                    Display().warning(f"{name}: {warning}")
        result["releases"] = releases
        result["changed"] = any(release["changed"] for release in releases.values())
        if self._task.diff:
            told = {plan["app"]: plan.get("changes") for plan in plans}
            result["diff"] = [
                {"prepared": "\n".join([f"{name}:", *lines, ""])} for name, lines in told.items() if lines
            ]

    def _carry_out(self, request: dict[str, Any], source: Source | None) -> Any:
        if source is None:
            return self._slipway(["deploy"], request)
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "source.tar.gz"
            for warning in source.pack(archive):
                Display().warning(warning)
            packed = archive.read_bytes()
        return self._slipway(["deploy", "--archive", "-"], {**request, **manifest(source, request)}, packed)

    def _rollback(self, result: dict[str, Any]) -> None:
        app, release = self._task.args["app"], self._task.args.get("release")
        if self._task.check_mode:
            result["skipped"] = True
            return
        force = ["--force"] if boolean(self._task.args.get("force", False)) else []
        answer = self._slipway(["rollback", *force, app, *([release] if release else [])])
        result["releases"] = {app: answer}
        result["changed"] = answer["changed"]

    def _remove(self, result: dict[str, Any]) -> None:
        app, data = self._task.args["app"], boolean(self._task.args.get("data", False))
        verb = ["status"] if self._task.check_mode else ["remove", *(["--data"] if data else []), app]
        answer: Any = self._slipway(verb, may_be_missing=self._task.check_mode)
        result["changed"] = (
            any(row["app"] == app for row in answer or []) if self._task.check_mode else answer["changed"]
        )

    def _back_up(self, result: dict[str, Any]) -> None:
        if self._task.check_mode:
            result["skipped"] = True
            return
        app = self._task.args.get("app")
        result["backups"] = self._slipway(["backup", *([app] if app else [])])
        result["changed"] = True

    def _restore(self, result: dict[str, Any]) -> None:
        """Restore; in check mode, do all of it but the last step."""
        given = self._task.args
        words = [word for key in ("at", "backup", "release") if given.get(key) for word in (f"--{key}", given[key])]
        words += ["--migrate"] if boolean(given.get("migrate", False)) else []
        words += ["--check-only"] if self._task.check_mode else []
        result["restored"] = self._slipway(["restore", *words, given["app"]])
        result["changed"] = True

    def _slipway(
        self, arguments: list[str], request: Any = None, source: bytes = b"", *, may_be_missing: bool = False
    ) -> Any:
        """Call the program on the host, installing it first where it is missing or another version."""
        said = self._call(arguments, request, source)
        if said["rc"] == _MISSING and may_be_missing:
            return None
        if said["rc"] == _MISSING and self._task.check_mode:
            raise AnsibleActionFail(
                "The host has no or another version of slipway, and a dry run installs none: deploy first"
            )
        if said["rc"] == _MISSING:
            given = {"program": base64.b64encode(self._program).decode()}
            installed = self._execute_module("release", module_args=given, task_vars=self._task_vars)
            if installed.get("failed") or installed.get("unreachable"):
                raise AnsibleActionFail(installed.get("msg", "the host did not answer"), result=installed)
            said = self._call(arguments, request, source)
        try:
            answer = json.loads(said["stdout"])
        except ValueError:
            told = said["stderr"].strip() or said["stdout"].strip()
            raise AnsibleActionFail(f"slipway ended with exit code {said['rc']}: {told}") from None
        if said["rc"]:
            raise AnsibleActionFail(answer["msg"], result={"code": said["rc"]})
        return answer

    def _call(self, arguments: list[str], request: Any, source: bytes) -> dict[str, Any]:
        """Run the program with a request, and a source, on its standard input, where no list of processes shows them.

        Ansible's modules cost as much again: the host compiles them for each call.
        """
        words = ["sh", "-c", _CALL, "call", hashlib.sha256(self._program).hexdigest(), *arguments]
        # Never nothing: without anything to send, Ansible asks for a terminal, where errors and answers are one.
        given = json.dumps(request).encode() + b"\n" + source
        said: dict[str, Any] = self._low_level_execute_command(shlex.join(words), in_data=given)
        return said
