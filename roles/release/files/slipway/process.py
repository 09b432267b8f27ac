"""Commands run as the app: its user, its environment, its source as the working directory."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import signal
import subprocess
from pathlib import Path

from slipway import envfile
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


def become(app: str, release: Path) -> dict[str, object]:
    """Keyword arguments that make `subprocess` run a command as the app."""
    group = group_id(app)
    user = pwd.getpwnam(app).pw_uid if os.geteuid() == 0 else os.geteuid()
    identity: dict[str, object] = {"user": user, "group": group, "extra_groups": []} if os.geteuid() == 0 else {}
    return {**identity, "env": environment(release), "cwd": release / "src", "umask": 0o027}


def run(app: str, release: Path, command: str, *, timeout: float, name: str) -> list[str]:
    """Run a command to its end and return its last lines, standard error included.

    Args:
        app: whose user to take.
        release: the release whose code, settings and dependencies to run with.
        command: split as a shell would, but never given to one.
        timeout: seconds; then the command and its children are killed.
        name: what to call it in a message.

    Raises:
        SlipwayError: it is not to be found, ended with an error or took too long; with its last lines.
    """
    kwargs = become(app, release)
    argv = shlex.split(command)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            **kwargs,  # type: ignore[call-overload]
        )
    except FileNotFoundError:
        raise SlipwayError(
            f"{name}: there is no command {argv[0]!r}.",
            hint="Is the package that brings it in the dependency lock?",
        ) from None
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        raise SlipwayError(f"{name} took longer than {timeout:g} s and was stopped.", log=_last(output)) from None
    if process.returncode:
        raise SlipwayError(f"{name} ended with exit code {process.returncode}: {command}", log=_last(output))
    return _last(output)


def _last(output: str) -> list[str]:
    return output.splitlines()[-OUTPUT_LINES:]


def interactive(app: str, release: Path, command: list[str]) -> int:
    """Run a command on the caller's own terminal and return its exit code.

    Raises:
        SlipwayError: there is no such command.
    """
    kwargs = become(app, release)
    terminal = {key: value for key, value in os.environ.items() if key in {"TERM", "COLUMNS", "LINES"}}
    kwargs["env"] = {**terminal, **environment(release)}
    try:
        return subprocess.run(command, **kwargs).returncode  # type: ignore[call-overload,no-any-return]
    except FileNotFoundError:
        raise SlipwayError(f"There is no command {command[0]!r} in the release or on the host.") from None
