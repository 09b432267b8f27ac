"""The test VPS, seen as its visitors and its operator see it."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molecule.shared.address import LEASES

PROJECT = Path(__file__).resolve().parents[2]
LOAD = PROJECT / "molecule/lifecycle/load.py"


@dataclass(frozen=True)
class Response:
    """An answer over HTTP; `status` is 0 where none came."""

    status: int
    headers: dict[str, str]
    body: str
    error: str


@dataclass(frozen=True)
class Vps:
    """One test VPS, as tasks/describe.yml describes it.

    Args:
        host: its name in the inventory.
        name: of its container.
        keys: the folder of what the controller has of it.
        address: its loopback address on this machine.
        http_port: published for port 80.
        https_port: published for port 443.
        authority: the certificate authority that its visitors trust.
        ssh: the command that opens a shell on it.
        inventory: the arguments that name its inventory.
    """

    host: str
    name: str
    keys: str
    address: str
    http_port: int
    https_port: int
    authority: str
    ssh: list[str]
    inventory: list[str]

    @property
    def shell(self) -> list[str]:
        """The command that opens a shell over a connection that is kept: a login takes longer than most commands."""
        ssh, *rest = self.ssh
        path = LEASES / f"{self.address}.ssh"
        kept = ["ControlMaster=auto", f"ControlPath={path}", "ControlPersist=60", "ServerAliveInterval=5"]
        return [ssh, *(word for option in kept for word in ("-o", option)), *rest]

    def hang_up(self) -> None:
        """Close that connection, for a host that is restarted or is to log everybody in anew."""
        ssh, *rest = self.shell
        subprocess.run([ssh, "-O", "exit", *rest], capture_output=True, check=False)

    @classmethod
    def read(cls, path: Path) -> Vps:
        return cls(**json.loads(path.read_text()))

    def get(self, url: str, *arguments: str) -> Response:
        """Ask with curl, certificates verified; any domain of the URL leads to this VPS."""
        resolve = [f"*:{self.https_port}:{self.address}", f"*:{self.http_port}:{self.address}"]
        command = ["curl", "-sS", "--path-as-is", "--max-time", "20", "--cacert", self.authority, "-D-"]
        command += [word for rule in resolve for word in ("--resolve", rule)]
        result = subprocess.run([*command, *arguments, url], capture_output=True, check=False)
        head, _, body = result.stdout.decode(errors="replace").partition("\r\n\r\n")
        status_line, *lines = head.split("\r\n")
        pairs = [line.partition(":") for line in lines]
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        status = int(status_line.split()[1]) if result.returncode == 0 and status_line else 0
        return Response(status, headers, body, result.stderr.decode().strip())

    def https(self, domain: str, path: str = "/", *arguments: str) -> Response:
        return self.get(f"https://{domain}:{self.https_port}{path}", *arguments)

    def http(self, domain: str, path: str = "/", *arguments: str) -> Response:
        return self.get(f"http://{domain}:{self.http_port}{path}", *arguments)

    def run(self, *command: str, check: bool = True) -> str:
        """Return what a command prints that the operator gives over SSH."""
        remote = [*self.shell, shlex.join(command)]
        result = subprocess.run(remote, capture_output=True, text=True, check=False)
        if check and result.returncode:
            raise AssertionError(f"{command} ended with {result.returncode}: {result.stdout}{result.stderr}")
        return result.stdout.strip()

    def playbook(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the project against this VPS."""
        command = ["ansible-playbook", name, *self.inventory, *arguments]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    @contextlib.contextmanager
    def guests(self, domain: str, out: Path) -> Iterator[list[dict[str, Any]]]:
        """Let visitors read and sign the guestbook while the block runs; afterwards the list holds their requests.

        Args:
            domain: of the app.
            out: the file that keeps a record of each request.
        """
        command = [sys.executable, str(LOAD), "--guestbook", "--domain", domain, "--out", str(out)]
        command += ["--address", self.address, "--port", str(self.https_port), "--authority", self.authority]
        records: list[dict[str, Any]] = []
        # Its input ends with this process too, however that ends.
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as load:
            try:
                assert load.stdout is not None
                assert load.stdout.readline() == "open\n"
                yield records
            finally:
                _, errors = load.communicate(timeout=60)
        assert load.returncode == 0, errors
        records += [json.loads(line) for line in out.read_text().splitlines()]

    def release(self, app: str) -> str:
        """Return the release that an app serves."""
        status = json.loads(self.run("slipway", "--json", "status"))
        return str(next(row["release"] for row in status if row["app"] == app))
