"""Commands run as the app: its user, its environment, its source as the working directory."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
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
        SlipwayError: it cannot be started, ended with an error or took too long; with its last lines.
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
    except OSError as error:
        cause, hint = _refusal(place, words[0], error)
        raise SlipwayError(f"{name}: {cause}.", hint=hint) from None
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
        SlipwayError: it cannot be started.
    """
    terminal = {key: value for key, value in os.environ.items() if key in {"TERM", "COLUMNS", "LINES"}}
    place = in_release(app, release)
    place.environment.update(terminal)
    try:
        return subprocess.run(command, **place.arguments()).returncode
    except OSError as error:
        cause, hint = _refusal(place, command[0], error)
        raise SlipwayError(f"{command[0]} could not be started: {cause}.", hint=hint) from None


def obstacle(program: Path) -> tuple[str, str]:
    """Return why a program cannot be started, and what to do; empty where its file shows no reason."""
    if not program.exists():
        is_of_package = program.parent.match("venv/bin") and program.parent.is_dir()
        hint = f"Is {program.name} in the app's requirements?" if is_of_package else ""
        return f"the program {program} does not exist", hint
    if not program.is_file() or not program.stat().st_mode & 0o111:
        return f"the program {program} is not executable", ""
    interpreter = _interpreter(program)
    if interpreter is not None and not interpreter.exists():
        # The kernel's own word for this is that the program does not exist.
        return (
            f"the program {program} needs {os.path.realpath(interpreter)}, which does not exist",
            "Install that again, or deploy the app again: it is then built with the Python that there is.",
        )
    return "", ""


def _interpreter(program: Path) -> Path | None:
    """The program that the first line of a script names."""
    with program.open("rb") as stream:
        first = stream.readline(4096)
    words = first.removeprefix(b"#!").split()
    return Path(os.fsdecode(words[0])) if first.startswith(b"#!") and words else None


def _refusal(place: Place, word: str, error: OSError) -> tuple[str, str]:
    """Return why a command could not be started at a place, and what to do."""
    if not place.directory.is_dir():
        return f"the working directory {place.directory} does not exist", ""
    if "/" in word:
        found = place.directory / word
    elif path := shutil.which(word, path=place.environment.get("PATH", os.defpath)):
        found = Path(path)
    elif isinstance(error, FileNotFoundError):
        return f"there is no command {word!r}", "Is the package that brings it in the dependency lock?"
    else:
        return f"the command {word!r} could not be started: {error.strerror}", ""
    cause, hint = obstacle(found)
    return cause or f"{found} could not be started: {error.strerror}", hint
