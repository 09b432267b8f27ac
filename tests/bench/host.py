"""The benchmark's own test VPS, and the clock beside what is done to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
NAME = "slipway-bench"
SSH_PORT, HTTP_PORT, HTTPS_PORT = 2622, 8680, 8643
KEYS = ROOT / ".slipway" / "vps" / NAME
# The apps of the demo, as inventory/local.yml and group_vars/local have them: the one without data, and the one with a
# database that is migrated at each deploy. Each with its sources, and with a file that a developer might change.
PLAIN_APP, DATA_APP = "hello", "guestbook"
SOURCES = {PLAIN_APP: "molecule/shared/hello", DATA_APP: "app"}
_CHANGED = {PLAIN_APP: "static/hello.css", DATA_APP: "guestbook/templates/index.html"}
_COMMENTS = {".css": "/* {} */", ".html": "<!-- {} -->"}


def say(text: str) -> None:
    """Tell whoever waits; the table alone goes to the standard output."""
    print(text, file=sys.stderr, flush=True)


def fail(text: str) -> NoReturn:
    """Give up: a measurement of something broken is none."""
    sys.exit(text)


def _done(command: list[str], data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    ports = {"DEMO_SSH_PORT": SSH_PORT, "DEMO_HTTP_PORT": HTTP_PORT, "DEMO_HTTPS_PORT": HTTPS_PORT}
    environment = {**os.environ, **{name: str(port) for name, port in ports.items()}}
    return subprocess.run(command, cwd=ROOT, env=environment, input=data, capture_output=True, check=False)


def succeeds(command: list[str]) -> bool:
    """Whether a command ends well."""
    return _done(command).returncode == 0


def said(command: list[str], *, data: bytes | None = None) -> str:
    """What a command says; where it fails, everything that it said is shown."""
    done = _done(command, data)
    if done.returncode:
        fail(f"{' '.join(command)}\n{done.stdout.decode()}{done.stderr.decode()}exit code {done.returncode}")
    return done.stdout.decode()


def run(command: list[str], *, data: bytes | None = None) -> None:
    """Run a command to its end, and show what it said where that is a failure."""
    said(command, data=data)


def seconds(command: list[str], *, data: bytes | None = None) -> float:
    """How long a command takes."""
    start = time.monotonic()
    run(command, data=data)
    return time.monotonic() - start


def playbook(path: str | Path, *extra: str) -> list[str]:
    """The command that runs a playbook against the VPS."""
    return ["ansible-playbook", str(path), "-i", "inventory/local.yml", "-e", f"vps_name={NAME}", *extra]


def ssh(command: str) -> list[str]:
    """The command that runs a shell command on the VPS, over one connection that is kept open, as Ansible's is."""
    options = {
        "UserKnownHostsFile": KEYS / "known_hosts",
        "IdentitiesOnly": "yes",
        "ControlMaster": "auto",
        "ControlPersist": "60s",
        # Where Ansible, which made the VPS, has its own.
        "ControlPath": "~/.ansible/cp/slipway-bench-%C",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-q", "-p", str(SSH_PORT), "-i", str(KEYS / "id_ed25519"), *words, "root@127.0.0.1", command]


def bare() -> None:
    """Have a new VPS with package lists and nothing else."""
    away()
    run(playbook("molecule/shared/create.yml"))
    run(playbook("molecule/shared/prepare.yml"))


def away() -> None:
    run(playbook("molecule/shared/destroy.yml"))


@contextmanager
def vps() -> Iterator[None]:
    """A bare VPS that goes at the end, however that comes."""
    bare()
    try:
        yield
    finally:
        away()


def copy_sources(target: Path) -> Path:
    """A copy of the apps' sources that may be changed: what git tracks of them."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", *SOURCES.values()], capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def change_code(sources: Path, app: str, text: str) -> None:
    """Change an app as a developer would: a line of one of its files."""
    file = sources / SOURCES[app] / _CHANGED[app]
    file.write_text(f"{file.read_text()}{_COMMENTS[file.suffix].format(text)}\n")
