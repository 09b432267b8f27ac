"""The scenario's app on the test VPS: its versions, its deploys, its visitors, its deaths."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from molecule.shared.podman import podman
from molecule.shared.program import Program, RefusedError
from molecule.shared.waiting import until

from .load import Record

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
APP = "steady"
DOMAIN = "steady.localhost"
BASE = f"/srv/{APP}"


class Steady:
    """The app.

    Args:
        vps: the test VPS.
        scratch: a directory for the app's versions.

    Attributes:
        tended: the app's workers and timers, for the checks that deploy them too.
    """

    def __init__(self, vps: Any, scratch: Path) -> None:
        self.vps = vps
        self.scratch = scratch
        inventory = yaml.safe_load((HERE / "inventory/hosts.yml").read_text())
        self.given: dict[str, Any] = inventory["local"]["hosts"]["vps"]["apps"][APP]
        self.tended = {name: self.given.pop(name) for name in ("workers", "timers")}
        self.slipway = Program(vps, scratch)
        self._count = 0

    # -- versions

    def version(self, **files: str) -> Path:
        """A new version of the app's source; `files` replaces some of it."""
        self._count += 1
        name = f"{self._count}-{time.time_ns()}"
        tree = self.scratch / name
        shutil.copytree(HERE / "app", tree, ignore=shutil.ignore_patterns("__pycache__", "instance"))
        css = f"/* version {name} */\nbody {{ color: #222 }}\n"
        for old in (tree / "static").iterdir():
            old.unlink()
        (tree / "static" / f"page.{hashlib.sha256(css.encode()).hexdigest()[:8]}.css").write_text(css)
        (tree / "version.txt").write_text(name)
        for path, text in files.items():
            (tree / path.replace("__", ".")).write_text(text)
        return tree

    def app(self, source: Path, **changes: Any) -> dict[str, Any]:
        """The app as a user would describe it: the inventory's words with some of them changed."""
        app = copy.deepcopy(self.given) | {"source": {"path": str(source)}}
        for key, value in changes.items():
            app[key] = {**app.get(key, {}), **value} if isinstance(value, dict) else value
        return app

    # -- the host's program, called as the action plugin calls it

    def request(self, source: Path, **changes: Any) -> dict[str, Any]:
        return self.slipway.request(APP, self.app(source, **changes))

    def send(self, source: Path) -> str:
        return self.slipway.send(APP, self.app(source))

    def deploy(self, source: Path, **changes: Any) -> dict[str, Any]:
        return self.slipway.deploy(APP, self.app(source, **changes))

    def attempt(self, source: Path, **changes: Any) -> subprocess.CompletedProcess[str]:
        """Deploy; the output is what a user would read of a failure."""
        try:
            return subprocess.CompletedProcess([], 0, json.dumps(self.deploy(source, **changes)), "")
        except RefusedError as refused:
            return subprocess.CompletedProcess([], 2, str(refused), "")

    def rollback(self, release: str = "") -> dict[str, Any]:
        return dict(self.slipway("rollback", APP, *([release] if release else [])))

    # -- deaths

    def die(
        self,
        point: str,
        *arguments: str,
        request: dict[str, Any] | None = None,
        kill: Callable[[], None],
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """Freeze the host's program at a fault point, look around, kill."""
        command = f"SLIPWAY_FAULT={point} slipway --json {shlex.join(arguments)}"
        pipe = subprocess.PIPE
        with subprocess.Popen([*self.vps.ssh, command], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as session:
            assert session.stdin is not None
            assert session.stdout is not None
            assert session.stderr is not None
            session.stdin.write(json.dumps(request))
            session.stdin.close()
            said = session.stderr.readline()
            assert f"frozen at {point}" in said, f"{point}: {said}{session.stdout.read()}"
            try:
                look()
            finally:
                kill()
                session.kill()

    def kill_process(self) -> None:
        holder = json.loads(self.vps.run("cat", f"{BASE}/deploy.lock"))
        self.vps.run("kill", "-KILL", str(holder["pid"]))

    def kill_machine(self) -> None:
        """Pull the plug, then put it in again and wait until the app answers."""
        self.vps.hang_up()
        podman("kill", "--signal=KILL", self.vps.name)
        podman("start", self.vps.name)
        until(lambda: self.vps.https(DOMAIN).status == 200, "the app to answer after the restart")

    def untidy(self) -> list[str]:
        """What a transaction has left behind for good; an old instance may be ending its last requests."""
        with contextlib.suppress(AssertionError):
            until(lambda: not self._left(), "the old instance to end")
        return self._left()

    def _left(self) -> list[str]:
        current = self.current()
        left = self.vps.run(
            "find", BASE, "-maxdepth", "2", "-name", ".*", "-o", "-name", "transaction.json"
        ).splitlines()
        shown = ["systemctl", "list-units", "--all", "--plain", "--no-legend", f"{APP}@*", f"{APP}.*@*"]
        units = self.vps.run(*shown).splitlines()
        return [*left, *(unit for unit in units if current not in unit or " active " not in unit)]

    # -- the whole way, as a user deploys

    def playbook(self, source: Path, *arguments: str, **changes: Any) -> subprocess.CompletedProcess[str]:
        variables = self.scratch / "variables.json"
        variables.write_text(json.dumps({"apps": {APP: self.app(source, **changes)}}))
        done: subprocess.CompletedProcess[str] = self.vps.playbook(
            "playbooks/deploy.yml", "-e", f"@{variables}", *arguments
        )
        return done

    # -- what is to be seen

    def current(self) -> str:
        return str(self.vps.release(APP))

    def before(self) -> str:
        """The release that a rollback would go to."""
        return str(next(row["previous"] for row in self.slipway("status") if row["app"] == APP))

    def workers(self) -> list[str]:
        """The workers and timers that run."""
        shown = ["systemctl", "list-units", "--state=active", "--plain", "--no-legend", f"{APP}.*@*", f"{APP}.*.timer"]
        return [line.split()[0] for line in self.vps.run(*shown).splitlines()]

    def switched(self) -> float:
        """When the link was last moved."""
        return float(self.vps.run("stat", "-c", "%.Y", f"{BASE}/current"))

    def journal(self) -> list[dict[str, Any]]:
        lines = self.vps.run("cat", f"{BASE}/journal.jsonl").splitlines()
        return [json.loads(line) for line in lines]

    def await_visitors(self) -> None:
        """Wait until as many requests have been answered as say something."""
        assert self._announcements.readline() == "enough\n"

    @contextlib.contextmanager
    def visitors(self) -> Iterator[list[Record]]:
        """Let visitors come while the block runs; afterwards the list holds every request of theirs."""
        out = self.scratch / f"load-{time.time_ns()}.jsonl"
        command = [sys.executable, str(HERE / "load.py"), "--domain", DOMAIN, "--out", str(out)]
        command += [
            "--address",
            self.vps.address,
            "--port",
            str(self.vps.https_port),
            "--authority",
            self.vps.authority,
        ]
        records: list[Record] = []
        # Its input ends with this process too, however that ends.
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as load:
            try:
                assert load.stdout is not None
                self._announcements = load.stdout
                assert load.stdout.readline() == "open\n"
                yield records
            finally:
                _, errors = load.communicate(timeout=60)
        assert load.returncode == 0, errors
        records += [Record(**json.loads(line)) for line in out.read_text().splitlines()]
