"""What a user of the host tries in order to get at the Redis and the files of an app that is none of his.

Runs on the host, by itself: given the facts as JSON, it prints what stopped each attempt; nothing where it got through.
"""

from __future__ import annotations

import grp
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path


def ping(path: str | Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as asked:
        asked.connect(str(path))
        asked.sendall(b"PING\r\n")
        if not asked.recv(64).startswith(b"+PONG"):
            raise OSError("no answer")


def by_symlink(path: str) -> None:
    link = Path(f"/tmp/intrusion-{os.getpid()}")  # noqa: S108 - for whoever runs this
    link.symlink_to(path)
    try:
        ping(link)
    finally:
        link.unlink()


def by_hard_link(path: str) -> None:
    link = Path(f"/run/intrusion-{os.getpid()}")
    os.link(path, link)
    try:
        ping(link)
    finally:
        link.unlink()


def put_beside(path: str) -> None:
    mine = Path(path).with_name("intrusion")
    mine.touch()
    mine.unlink()


def renamed(path: str) -> None:
    os.rename(path, f"{path}.x")  # noqa: PTH104 - the call itself is what is tried
    os.rename(f"{path}.x", path)  # noqa: PTH104


def in_group(name: str, path: str) -> None:
    """In a process of its own: there is no way back."""
    child = os.fork()
    if child == 0:
        try:
            os.setgid(grp.getgrnam(name).gr_gid)
            ping(path)
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise OSError("refused")


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def read(path: str) -> None:
    Path(path).open("rb").close()


def look(path: str | Path) -> None:
    list(Path(path).iterdir())


def attempts(app: str, pid: str, app_pid: str, path: str) -> dict[str, Callable[[], object]]:
    """Each by what it is; `pid` is the Redis's, `app_pid` the app's."""
    as_app = ("runuser", "-u", app, "--")
    return {
        "connect to its socket": lambda: ping(path),
        "connect by way of a symlink": lambda: by_symlink(path),
        "connect by way of a hard link": lambda: by_hard_link(path),
        "connect by way of Redis's root in /proc": lambda: ping(f"/proc/{pid}/root{path}"),
        "connect by way of the app's root in /proc": lambda: ping(f"/proc/{app_pid}/root{path}"),
        "connect with redis-cli": lambda: run("redis-cli", "-e", "-s", path, "ping"),
        "connect with the app's group": lambda: in_group(app, path),
        "connect as the app, by runuser": lambda: run(*as_app, "redis-cli", "-e", "-s", path, "ping"),
        "look into the socket's directory": lambda: look(Path(path).parent),
        "put something beside the socket": lambda: put_beside(path),
        "put something else in the socket's place": lambda: renamed(path),
        "open the socket's directory to all": lambda: Path(path).parent.chmod(0o750),
        "open the socket to all": lambda: Path(path).chmod(0o660),
        "look at what Redis keeps": lambda: look(f"/var/lib/slipway-redis/{app}/"),
        "look at what Redis keeps, where it is": lambda: look(f"/var/lib/private/slipway-redis/{app}"),
        "read Redis's memory": lambda: read(f"/proc/{pid}/mem"),
        "read Redis's environment": lambda: read(f"/proc/{pid}/environ"),
        "see what Redis has open": lambda: look(f"/proc/{pid}/fd"),
        "signal Redis": lambda: os.kill(int(pid), 0),
        "have systemd start it": lambda: run("systemctl", "--no-ask-password", "start", f"slipway-redis@{app}"),
        "read the app's settings": lambda: read(f"/srv/{app}/current/settings.json"),
        "read the app's environment": lambda: read(f"/srv/{app}/current/env"),
        "read the app's SQLite database": lambda: read(f"/srv/{app}/shared/{app}.db"),
    }


def stopped(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (OSError, subprocess.CalledProcessError) as error:
        return type(error).__name__
    return ""


if __name__ == "__main__":
    facts = json.loads(sys.argv[1])
    print(json.dumps({name: stopped(attempt) for name, attempt in attempts(**facts).items()}))
