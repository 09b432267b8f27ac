"""Why a unit failed: read from the host where the host shows it, else from the journal."""

from __future__ import annotations

import pwd
import re
import subprocess
import time
from pathlib import Path

from slipway import process
from slipway.errors import SlipwayError

LOG_LINES = 20
LOG_WIDTH = 1000
# How Python ends a traceback: the exception, at the margin.
_ERROR = re.compile(r"(\w+\.)*\w*(Error|Exception|Exit)\b(:|$)")

# Seconds to wait for lines that the journal lacks, and between two looks.
_PATIENCE = 5.0
_PAUSE = 0.1
# What systemd writes when a unit's process has ended, or was never begun.
_END = re.compile(
    r": (Main process exited|Failed with result|Deactivated successfully)|^Dependency failed for ", re.MULTILINE
)
# The exit codes from 200 on are systemd's own: it failed before it could execute the program (systemd.exec(5)).
_STEP = re.compile(r"code=exited, status=(2\d\d)/([A-Z_]+)")
_STEP_DETAIL = "Failed at step "
_COREDUMP = "fc2e22bc6ee647b6b90729ab34a250b1"


def explain(error: SlipwayError, unit: str, *, since: float) -> SlipwayError:
    """Add to an error the cause of a unit's failure, as far as it is known, and the unit's last log lines.

    Report every failure of a unit through here. Nowhere else is the journal read for a message.

    Args:
        error: what failed; changed in place.
        unit: the service's full name.
        since: begin of the attempt, in seconds since the epoch; older lines are left out.

    Returns:
        The same error.
    """
    shown = _show(unit)
    # What runs could be started, and of a unit that is not installed the journal will never hold a line.
    is_stopped = shown.get("LoadState") == "loaded" and shown.get("ActiveState") != "active"
    cause, hint = _obstacle(shown) if is_stopped else ("", "")
    deadline = time.monotonic() + _PATIENCE
    lines = _journal(unit, shown.get("User", ""), since)
    while is_stopped and not cause and not _is_complete(lines) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        lines = _journal(unit, shown.get("User", ""), since)
    if is_stopped and not cause:
        cause, hint = _failed_step(lines)
    error.log = last_words(lines)
    if cause:
        error.message = f"{error.message} Cause: {cause}."
        # The old hint was written by a caller that did not know the cause.
        error.hint = hint
    return error


def last_words(lines: list[str]) -> list[str]:
    """The end of a log; where the error that led to it stands further up, that line first."""
    earlier, tail = lines[:-LOG_LINES], lines[-LOG_LINES:]
    causes = [line for line in earlier if _ERROR.match(line)]
    if causes and not any(_ERROR.match(line) for line in tail):
        tail = [causes[-1], "…", *tail[2:]]
    return [line[:LOG_WIDTH] for line in tail]


def _show(unit: str) -> dict[str, str]:
    """The properties of a unit that tell whether and how systemd can start it; empty where systemd does not answer."""
    properties = "--property=LoadState,ActiveState,User,WorkingDirectory,ExecStart"
    result = subprocess.run(["systemctl", "show", properties, unit], capture_output=True, text=True, errors="replace")
    return dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)


def _obstacle(shown: dict[str, str]) -> tuple[str, str]:
    """Return why systemd cannot start a unit, and what to do; empty where the host shows no reason.

    Neither the journal nor the unit's exit code is asked: a line can be lost, and the exit code is 0 again for as long
    as systemd tries once more.
    """
    user = shown.get("User", "")
    if user and _uid(user) is None:
        return f"the user {user} does not exist", "Run the whole site.yml once: it makes the app's user."
    directory = shown.get("WorkingDirectory", "")
    # Anything but a path is a word or a mark of systemd's: a directory that may be missing, or the user's home.
    if directory.startswith("/") and not Path(directory).is_dir():
        return f"the working directory {directory} does not exist", ""
    # ExecStart={ path=/srv/shop/… ; argv[]=/srv/shop/… --config … ; ignore_errors=no ; … }
    program = re.match(r"\{ path=(/.*?) ; argv\[\]=", shown.get("ExecStart", ""))
    return process.obstacle(Path(program[1])) if program else ("", "")


def _failed_step(lines: list[str]) -> tuple[str, str]:
    """Return at which step of systemd's own a unit's last start failed, and where that is explained; else nothing."""
    text = "\n".join(lines)
    found = _STEP.findall(text)
    if not found:
        return "", ""
    status, step = found[-1]
    above = "Its last output says why. " if _STEP_DETAIL in text else ""
    return (
        f"systemd failed at step {step} (status {status}), before it could execute the program",
        f"{above}`man systemd.exec` explains {step} under Process Exit Codes.",
    )


def _is_complete(lines: list[str]) -> bool:
    """Whether a failed unit's log holds its end and, where systemd itself failed, the line that says at what."""
    text = "\n".join(lines)
    return bool(_END.search(text)) and (_STEP_DETAIL in text or not _STEP.search(text))


def _journal(unit: str, user: str, since: float) -> list[str]:
    """A unit's journal lines since a time (seconds since the epoch), oldest first."""
    # What a program wrote before it died may still be in journald's sockets: this returns when journald has written all
    # that it had received. Without an answer (journald may be restarting) the lines come late: see `explain`.
    subprocess.run(["journalctl", "--sync"], capture_output=True)
    # Not --unit: it takes lines of other processes than PID 1 by _SYSTEMD_UNIT alone, which journald looks up in /proc.
    # The child that systemd forks and that fails before it executes the program has ended by then on a busy machine, so
    # its line, which says what is missing, has none, for good. It names the unit itself, in UNIT. Anybody can write
    # that field: it counts from root and the unit's own user, which the child has become by the last steps.
    writers = ["_UID=0"] if (uid := _uid(user)) is None else ["_UID=0", f"_UID={uid}"]
    matches = [f"_SYSTEMD_UNIT={unit}", "+", f"UNIT={unit}", *writers]
    # The rest of what --unit takes.
    matches += ["+", f"OBJECT_SYSTEMD_UNIT={unit}", "_UID=0"]
    matches += ["+", f"COREDUMP_UNIT={unit}", "_UID=0", f"MESSAGE_ID={_COREDUMP}"]
    # Not --lines: with --since, journalctl of systemd 252 counts them from the beginning.
    command = ["journalctl", "--since", f"@{since:.6f}", "--no-pager", "--quiet", "--output=cat", *matches]
    return subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.splitlines()


def _uid(user: str) -> int | None:
    """The number of a user, given by name or number; None where there is none."""
    if user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None
