"""The processes of an app beside its server: workers, bound to one release, and timers, which follow `current`.

Their units are the host's; what they run is a file in the release, so a rollback brings the old commands back as well.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from pathlib import Path

from slipway import failure, units
from slipway.errors import UNHEALTHY, SlipwayError
from slipway.layout import Layout
from slipway.spec import Spec

DIRECTORY = "processes"
# Long enough for a worker that cannot import its own code to have died of it.
WATCH = 3.0


def write(spec: Spec, release: Path, gid: int) -> None:
    """Write each process's command into a release that is being built, as a file that its unit runs."""
    directory = release / DIRECTORY
    directory.mkdir()
    for name, command in {**spec.workers, **spec.timers}.items():
        path = directory / name
        path.write_text(f"#!/bin/sh\nexec {shlex.join(shlex.split(command))}\n")
        os.chown(path, -1, gid)
        path.chmod(0o750)
    os.chown(directory, -1, gid)
    directory.chmod(0o750)


def running(app: str) -> dict[str, str]:
    """The units of all workers that systemd holds, running or failed, with the release of each."""
    listed = subprocess.run(
        ["systemctl", "list-units", "--all", "--output=json", f"{app}.*@*.service"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [unit["unit"] for unit in json.loads(listed.stdout or "[]") if unit["active"] != "inactive"]
    return {unit: unit.partition("@")[2].removesuffix(".service") for unit in found}


def bring_over(layout: Layout, release: str, spec: Spec) -> None:
    """Stop the workers of every other release, gracefully, and run those of this one; see that they stay up.

    Raises:
        SlipwayError: a worker stopped or had to be restarted; with the cause and its last log lines.
    """
    others = [unit for unit, of in running(layout.app).items() if of != release]
    _systemctl("stop", *others)
    _systemctl("reset-failed", *others)
    wanted = [units.worker(layout.app, name, release) for name in spec.workers]
    if not wanted:
        return
    began = time.time()
    _systemctl("start", *wanted)
    while time.time() < began + WATCH:
        for unit in wanted:
            if units.crashes_of(unit):
                error = SlipwayError(f"The worker {unit} does not stay up.", code=UNHEALTHY)
                raise failure.explain(error, unit, since=began)
        time.sleep(0.2)


def follow(layout: Layout, spec: Spec) -> None:
    """Run the timers of the serving release, at boot too, and no others."""
    installed = _installed_timers(layout.app)
    wanted = {units.timer(layout.app, name) for name in spec.timers}
    others = installed.keys() - wanted
    _systemctl("stop", *sorted(others))
    # Only where it changes something: after each of these two systemd reads all its units again.
    _systemctl("disable", *sorted(timer for timer in others if installed[timer] == "enabled"))
    _systemctl("enable", *sorted(timer for timer in wanted if installed.get(timer) != "enabled"))
    # Not merely started: a changed calendar counts from now on.
    _systemctl("restart", *sorted(wanted))


def _installed_timers(app: str) -> dict[str, str]:
    """An app's timers, with whether each starts at boot: `enabled`, or another word of systemd's."""
    listed = subprocess.run(
        ["systemctl", "list-unit-files", "--output=json", f"{app}.*.timer"], capture_output=True, text=True
    )
    return {unit["unit_file"]: unit["state"] for unit in json.loads(listed.stdout or "[]")}


def forget_timers(app: str) -> None:
    """Stop all timers of an app, at boot too."""
    _systemctl("disable", "--now", *_installed_timers(app))


def pause_timers(app: str) -> None:
    """Stop all timers of an app and the jobs that they have started, until `follow`."""
    timers = _installed_timers(app)
    _systemctl("stop", *timers, *(timer.removesuffix(".timer") + ".service" for timer in timers))


def stop(app: str) -> None:
    """Stop all workers of an app."""
    _systemctl("stop", *running(app))


def busy_releases(layout: Layout) -> set[str]:
    """The releases that a timer's job or a worker still has as its working directory."""
    shown = subprocess.run(
        ["systemctl", "show", "--property=MainPID", "--value", f"{layout.app}.*.service"],
        capture_output=True,
        text=True,
    )
    found = set()
    for pid in set(shown.stdout.split()) - {"0"}:
        try:
            path = Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            continue
        if path.is_relative_to(layout.releases):
            found.add(path.relative_to(layout.releases).parts[0])
    return found


def _systemctl(verb: str, *arguments: str) -> None:
    if any(not argument.startswith("-") for argument in arguments):
        subprocess.run(["systemctl", verb, *arguments], capture_output=True)
