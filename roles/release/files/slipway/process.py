"""Commands run as the app: its user, its environment, its source as the working directory."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway import envfile, lock
from slipway.errors import SlipwayError

OUTPUT_LINES = 40


def environment(release: Path) -> dict[str, str]:
    """The very environment that systemd gives the release's instance."""
    # Not read_text, which would make line feeds of carriage returns.
    return envfile.load((release / "env").read_bytes().decode())


def group_id(app: str) -> int:
    """The numeric group of an app's user.

    Raises:
        SlipwayError: the user does not exist.
    """
    try:
        return grp.getgrnam(app).gr_gid
    except KeyError:
        raise SlipwayError(
            f"There is no user {app} on this host.",
            hint="Run the whole site.yml once: it makes the app's user.",
        ) from None


def user_id(app: str) -> int:
    """The number of an app's user, which `group_id` has found to exist."""
    return pwd.getpwnam(app).pw_uid


@dataclass(frozen=True)
class Place:
    """Where and as whom a command runs.

    Args:
        app: whose user to take.
        directory: the working directory.
        environment: all of the command's environment.
    """

    app: str
    directory: Path
    environment: dict[str, str]

    def arguments(self) -> dict[str, Any]:
        """What makes `subprocess` run a command there."""
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            identity = {"user": self.app, "group": group_id(self.app), "extra_groups": []}
        return {**identity, "env": self.environment, "cwd": self.directory, "umask": 0o027}


def in_release(app: str, release: Path) -> Place:
    """As the release's own instance: its user, its environment, its source."""
    return Place(app, release / "src", environment(release))


def give(app: str, tree: Path) -> None:
    """Make a tree the property of the app's user."""
    user = pwd.getpwnam(app).pw_uid
    for path in (tree, *tree.rglob("*")):
        os.chown(path, user, -1, follow_symlinks=False)


def run(app: str, release: Path, command: str, *, timeout: float, name: str) -> list[str]:
    """Run a command in a release, as the app; see `run_in`."""
    return run_in(in_release(app, release), command, timeout=timeout, name=name)


def run_in(place: Place, command: str, *, timeout: float, name: str) -> list[str]:
    """Run a command, split as a shell would but never given to one, to its end; see `run_words`."""
    return run_words(place, shlex.split(command), timeout=timeout, name=name, shown=command)


def run_words(place: Place, words: list[str], *, timeout: float, name: str, shown: str = "") -> list[str]:
    """Run a command to its end and return its last lines, standard error included.

    Args:
        place: where and as whom.
        words: the command and its arguments.
        timeout: seconds; then the command and its children are killed.
        name: what to call it in a message.
        shown: the command as a message shows it; nothing where its name says enough.

    Raises:
        SlipwayError: it is not to be found, ended with an error or took too long; with its last lines.
    """
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=tuple(lock.held_by),
            **place.arguments(),
        )
    except FileNotFoundError:
        raise SlipwayError(
            f"{name}: there is no command {words[0]!r}.", hint="Is the package that brings it in the dependency lock?"
        ) from None
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        raise SlipwayError(f"{name} took longer than {timeout:g} s and was stopped.", log=_last(output)) from None
    if process.returncode:
        command = f": {shown}" if shown else "."
        raise SlipwayError(f"{name} ended with exit code {process.returncode}{command}", log=_last(output))
    return _last(output)


def _last(output: str) -> list[str]:
    return output.splitlines()[-OUTPUT_LINES:]


def interactive(app: str, release: Path, command: list[str]) -> int:
    """Run a command on the caller's own terminal and return its exit code.

    Raises:
        SlipwayError: there is no such command.
    """
    terminal = {key: value for key, value in os.environ.items() if key in {"TERM", "COLUMNS", "LINES"}}
    place = in_release(app, release)
    place.environment.update(terminal)
    try:
        return subprocess.run(command, **place.arguments()).returncode
    except FileNotFoundError:
        raise SlipwayError(f"There is no command {command[0]!r} in the release or on the host.") from None
