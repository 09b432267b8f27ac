"""Commands for podman, which runs the test VPSs."""

from __future__ import annotations

import subprocess


def podman(*words: str, check: bool = True) -> str:
    """Return what a podman command prints, without the white space around it.

    Raises:
        AssertionError: it failed, unless `check` is off.
    """
    result = subprocess.run(["podman", *words], capture_output=True, text=True, check=False)
    assert not check or result.returncode == 0, f"podman {' '.join(words)}: {result.stdout}{result.stderr}"
    return result.stdout.strip()


def remove(*names: str) -> None:
    """Remove containers at once, those that are not there included."""
    if names:
        podman("rm", "--force", "--ignore", "--time=0", "--volumes", *names, check=False)


def console(name: str, command: str, *, check: bool = True) -> str:
    """Return what a shell command prints that root gives at a VPS's console, also while nobody can log in."""
    return podman("exec", name, "sh", "-c", command, check=check)


def journal(name: str) -> str:
    """Return the end of the journal of each unit that has failed on a VPS."""
    script = """
        for unit in $(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1); do
            echo "== $unit"; journalctl --no-pager --output=short-iso --lines=40 --unit="$unit"
        done
    """
    return console(name, script, check=False)
