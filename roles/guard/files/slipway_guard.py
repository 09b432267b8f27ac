#!/usr/bin/python3
"""Puts a host's old way in back, unless somebody comes in by the new one and says so.

    slipway-guard arm NAME --seconds 60 --restore 'systemctl restart ssh' FILE…    prints an id
    slipway-guard confirm NAME ID    keeps what the files hold now
    slipway-guard restore NAME ID    puts back what they held when the guard was armed, and runs the command
    slipway-guard boot               the same for every guard that a restart of the host has met armed

A timer of systemd calls `restore`, so that the host helps itself when the controller is gone. What it needs for that is
on the disk before anything changes, so that a restart in between helps as well.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STATE = Path(os.environ.get("SLIPWAY_GUARD_STATE", "/var/lib/slipway-guard"))
# Long enough for a service to restart; nothing waits longer for a command that hangs.
LIMIT = 30


class RefusedError(Exception):
    """What was asked for cannot be done; the message says why."""


@contextmanager
def locked() -> Iterator[None]:
    """Keep a confirmation and the timer out of each other's way."""
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Have a file with this content, whole and on the disk, at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        stream.flush()
        os.fsync(descriptor)
    temporary.rename(path)
    sync(path.parent)


def saved(path: Path) -> dict[str, Any]:
    """What brings a file back; a file that is not there is brought back by its removal."""
    entry: dict[str, Any] = {"path": str(path)}
    if path.is_symlink():
        return entry | {"link": str(path.readlink())}
    if not path.exists():
        return entry
    found = path.stat()
    content = path.read_bytes().hex()
    return entry | {"content": content, "mode": stat.S_IMODE(found.st_mode), "uid": found.st_uid, "gid": found.st_gid}


def put_back(entry: dict[str, Any]) -> bool:
    """Have a file as it was; return whether it was otherwise."""
    path = Path(entry["path"])
    if saved(path) == entry:
        return False
    if "content" in entry:
        write(path, bytes.fromhex(entry["content"]), entry["mode"], entry["uid"], entry["gid"])
        return True
    path.unlink(missing_ok=True)
    if "link" in entry:
        path.symlink_to(entry["link"])
    if path.parent.is_dir():
        sync(path.parent)
    return True


def note(name: str) -> Path:
    return STATE / name / "armed.json"


def armed(name: str, wanted: str | None = None) -> dict[str, Any]:
    """What an armed guard has noted.

    Raises:
        RefusedError: it is not armed, or not by the one who asks.
    """
    try:
        found: dict[str, Any] = json.loads(note(name).read_text())
    except FileNotFoundError:
        raise RefusedError(f"{name}: no guard is armed: it was confirmed, or the old configuration is back") from None
    if wanted not in (None, found["id"]):
        raise RefusedError(f"{name}: the guard has been armed again since")
    return found


def disarm(name: str) -> None:
    # Its note goes first: from then on, whoever comes with the old id finds nothing to do.
    note(name).unlink()
    sync(note(name).parent)
    shutil.rmtree(note(name).parent)


def timer(name: str) -> str:
    return f"slipway-guard-{name}"


def arm(name: str, seconds: int, restore_command: str, files: list[Path]) -> str:
    """Note what the files hold, start the timer, and return the id that confirms.

    Raises:
        RefusedError: there would be no timer, so nothing may change.
    """
    if note(name).exists():
        # Somebody was killed half-way: what that run found is the last that was known to work.
        restore(name, None)
    identity = secrets.token_hex(8)
    described = {"id": identity, "restore": restore_command, "files": [saved(path) for path in files]}
    note(name).parent.mkdir(mode=0o700, exist_ok=True)
    write(note(name), json.dumps(described).encode(), 0o600, 0, 0)
    stop_timer(name)
    command = ["systemd-run", "--quiet", "--collect", f"--unit={timer(name)}", f"--on-active={seconds}"]
    command += ["--timer-property=AccuracySec=1s", sys.argv[0], "restore", name, identity]
    started = subprocess.run(command, capture_output=True, text=True, check=False)
    if started.returncode:
        disarm(name)
        raise RefusedError(f"{name}: the timer does not start, so nothing may change: {started.stderr.strip()}")
    return identity


def stop_timer(name: str) -> None:
    subprocess.run(["systemctl", "stop", f"{timer(name)}.timer"], capture_output=True, check=False)


def confirm(name: str, identity: str) -> None:
    armed(name, identity)
    disarm(name)
    stop_timer(name)


def restore(name: str, identity: str | None, *, at_boot: bool = False) -> None:
    """Put the old files back; unless services are yet to start, have them read by the guard's command."""
    found = armed(name, identity)
    changed = [entry["path"] for entry in found["files"] if put_back(entry)]
    why = "the host was restarted before" if at_boot else "nobody has"
    print(f"{name}: the old configuration is back, since {why} confirmed the new one", file=sys.stderr)
    # Where nothing had changed yet, there is nothing to be read again, and nothing that could fail at it.
    if changed and not at_boot:
        command = ["sh", "-c", found["restore"]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        if done.returncode:
            print(f"{name}: {found['restore']}: {(done.stderr or done.stdout).strip()}", file=sys.stderr)
    disarm(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    arming = commands.add_parser("arm")
    arming.add_argument("name")
    arming.add_argument("--seconds", type=int, required=True)
    arming.add_argument("--restore", required=True)
    arming.add_argument("files", nargs="+", type=Path)
    for command in ("confirm", "restore"):
        other = commands.add_parser(command)
        other.add_argument("name")
        other.add_argument("id")
    commands.add_parser("boot")
    given = parser.parse_args()
    with locked():
        try:
            if given.command == "arm":
                print(arm(given.name, given.seconds, given.restore, given.files))
            elif given.command == "confirm":
                confirm(given.name, given.id)
            elif given.command == "restore":
                restore(given.name, given.id)
            else:
                for path in sorted(STATE.glob("*/armed.json")):
                    restore(path.parent.name, None, at_boot=True)
        except RefusedError as refusal:
            print(refusal, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
