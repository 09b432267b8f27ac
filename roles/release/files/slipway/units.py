"""The systemd units of a release, by way of systemctl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from slipway import failure
from slipway.errors import UNHEALTHY, SlipwayError
from slipway.layout import Layout


def service(app: str, release: str) -> str:
    return f"{app}@{release}.service"


def worker(app: str, name: str, release: str) -> str:
    # A dot, which no app's name can hold: the worker `mail` of `shop` is never an instance of an app `shop-mail`.
    return f"{app}.{name}@{release}.service"


def timer(app: str, name: str) -> str:
    return f"{app}.{name}.timer"


def _socket(app: str, release: str) -> str:
    return f"{app}@{release}.socket"


def start(app: str, release: str, *, wait: bool = True) -> None:
    """Start the socket and the instance of a release; does nothing where they run.

    `Type=notify` says ready before any worker has booted: a return means that the server started, not that the app
    works. Ask the socket.

    Args:
        app: the app.
        release: whose instance.
        wait: for the server to start. Without it nothing is said of how that went; started once more, it is.

    Raises:
        SlipwayError: the server did not start; with the cause and its last log lines.
    """
    began = time.time()
    names = [_socket(app, release), service(app, release)]
    result = subprocess.run(
        ["systemctl", "start", *([] if wait else ["--no-block"]), *names], capture_output=True, text=True
    )
    if result.returncode:
        unit = service(app, release)
        hint = "" if is_known(app) else result.stderr.strip()
        raise failure.explain(SlipwayError(f"{unit} did not start.", hint=hint, code=UNHEALTHY), unit, since=began)


def stop(app: str, release: str, *, wait: bool = True) -> None:
    """Stop an instance gracefully (SIGTERM, then its TimeoutStopSec) and forget a failed state.

    Args:
        app: the app.
        release: whose instance.
        wait: for its last requests to end. systemd sees to that whether or not somebody waits.
    """
    names = [_socket(app, release), service(app, release)]
    subprocess.run(["systemctl", "stop", *([] if wait else ["--no-block"]), *names], capture_output=True)
    subprocess.run(["systemctl", "reset-failed", *names], capture_output=True)


def enable_boot(app: str) -> None:
    """Have the app's own unit start `current` at boot, and let it count as started now."""
    unit = f"{app}.service"
    # Each `enable` makes systemd read all its units again, even where nothing changes.
    if not all(_is(state, unit) for state in ("enabled", "active")):
        subprocess.run(["systemctl", "enable", "--now", unit], capture_output=True)


def is_machine_stopping() -> bool:
    """Whether the machine goes down, and every unit with it."""
    result = subprocess.run(["systemctl", "is-system-running"], capture_output=True, text=True)
    return result.stdout.strip() == "stopping"


def is_known(app: str) -> bool:
    """Whether the app's unit files are installed."""
    result = subprocess.run(
        ["systemctl", "list-unit-files", "--no-legend", f"{app}@.service"], capture_output=True, text=True
    )
    return bool(result.stdout.strip())


def is_active(app: str, release: str) -> bool:
    return _is("active", service(app, release))


def _is(state: str, unit: str) -> bool:
    """Whether systemd calls a unit `active` or `enabled`."""
    return subprocess.run(["systemctl", f"is-{state}", "--quiet", unit], capture_output=True).returncode == 0


def crashes(app: str, release: str) -> int:
    """How often systemd has had to restart the instance; a large number where it has given up."""
    return crashes_of(service(app, release))


def crashes_of(unit: str) -> int:
    """How often systemd has had to restart a unit; a large number where it does not run any more."""
    result = subprocess.run(
        ["systemctl", "show", "--property=ActiveState,NRestarts", unit], capture_output=True, text=True
    )
    state = dict(line.split("=", 1) for line in result.stdout.splitlines())
    if state.get("ActiveState") in {"failed", "inactive"}:
        return sys.maxsize
    return int(state.get("NRestarts", 0))


def has_booted(app: str, release: str) -> bool:
    """Whether every worker of an instance has loaded the app, which its server's configuration notes where it can."""
    command = ["systemctl", "show", "--property=MainPID", "--value", service(app, release)]
    server = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return os.path.lexists(f"/proc/{server}/root/dev/shm/booted")


def instances(app: str) -> set[str]:
    """The ids of all releases of which systemd holds a running or failed unit."""
    result = subprocess.run(
        ["systemctl", "list-units", "--all", "--output=json", f"{app}@*.service", f"{app}@*.socket"],
        capture_output=True,
        text=True,
        check=True,
    )
    units = json.loads(result.stdout or "[]")
    return {unit["unit"].partition("@")[2].rpartition(".")[0] for unit in units if unit["active"] != "inactive"}


def queued(path: str) -> int:
    """Connections that wait in a listening Unix socket's queue; 0 where nothing listens there."""
    result = subprocess.run(["ss", "-H", "-x", "-l"], capture_output=True, text=True, check=True)
    for line in result.stdout.splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[4] == path:
            return int(fields[2])
    return 0


def drain(layout: Layout, release: str, *, timeout: float = 30) -> None:
    """Wait until nobody waits at a release's socket any more.

    Two empty readings in a row: a proxy may have resolved `current` just before the switch and connect just after.
    """
    deadline = time.monotonic() + timeout
    empty = 0 if queued(str(layout.socket(release))) else 1
    while empty < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        empty = 0 if queued(str(layout.socket(release))) else empty + 1
