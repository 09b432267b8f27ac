"""The verbs of the `slipway` command that are about data."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from slipway.data import backup, choice, drill, restore, swap
from slipway.data.config import configured, load
from slipway.data.repository import Repository
from slipway.errors import BAD_REQUEST, SlipwayError
from slipway.faults import VARIABLE
from slipway.layout import Layout, apps

_INSIDE = "SLIPWAY_RESTORING"
_KINDS = ("manual", "scheduled")


def declare(
    verb: Callable[..., argparse.ArgumentParser], app: Callable[[str], str], release: Callable[[str], str]
) -> None:
    """Add the verbs to the command line.

    Args:
        verb: adds one.
        app: reads the name of an app.
        release: reads the id of a release.
    """
    command = verb("backup", "back up an app's databases and files, or those of every app", app=False)
    command.add_argument("app", metavar="APP", type=app, nargs="?")
    command.add_argument("--kind", choices=_KINDS, default=_KINDS[0], help="why, for the list (manual)")
    command = verb("backups", "the backups that there are, oldest first", app=False)
    command.add_argument("app", metavar="APP", type=app, nargs="?")
    command = verb(
        "backup-check", "give the room of forgotten backups free, and look whether the repository is whole", app=False
    )
    command = verb("drill", "restore the newest backup where nobody sees it, and see whether it is good", app=False)
    command.add_argument("app", metavar="APP", type=app, nargs="?")
    command = verb("restore", "bring an app's databases and files back; what they replace is kept")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--at", metavar="WHEN", default="", help="the newest backup not younger than 2026-11-20T03:00")
    which.add_argument("--backup", metavar="ID", default="", help="a certain backup")
    command.add_argument("--release", metavar="RELEASE", type=release, help="let this release serve them")
    command.add_argument("--migrate", action="store_true", help="run release_command on them first")
    command.add_argument("--check-only", action="store_true", help="do everything but let them serve")
    command = verb("restored", "what restores have replaced and is kept")
    command.add_argument("--forget-old", action="store_true", help="drop it")
    command = verb("recover", "put right what a restore that died has left")
    command.add_argument("--quiet", action="store_true", help="say nothing of it")


def verbs(actor: Callable[[], str]) -> dict[str, Callable[[argparse.Namespace], Any]]:
    """What each verb does."""
    return {
        "backup": lambda given: _backup(given.app, kind=given.kind, actor=actor()),
        "backups": lambda given: _backups(given.app),
        "backup-check": lambda _: _check(),
        "drill": lambda given: [drill.run(given.app)] if given.app else drill.run_all(),
        "restore": lambda given: _restore(given, actor=os.environ.get(_INSIDE) or actor()),
        "restored": lambda given: (swap.forget if given.forget_old else swap.kept)(Layout(given.app)),
        "recover": lambda given: _recover(given.app, quiet=given.quiet, actor=actor()),
    }


def _backup(app: str | None, *, kind: str, actor: str) -> list[dict[str, Any]]:
    os.nice(10)
    # What a deploy that waits for it says.
    actor = "the nightly backup" if kind == "scheduled" else actor
    return [backup.run(app, kind=kind, actor=actor)] if app else backup.run_all(kind=kind, actor=actor)


def _backups(app: str | None) -> list[dict[str, Any]]:
    repository = Repository(load())
    return [backup.described(found) for found in repository.backups(app)]


def _check() -> list[dict[str, Any]]:
    os.nice(10)
    repository = Repository(load())
    for app in apps():
        backup.retire(app)
    repository.prune()
    repository.check()
    return [{"repository": repository.shown, "whole": True, "backups": len(repository.backups())}]


def _recover(app: str, *, quiet: bool, actor: str) -> list[dict[str, Any]] | int:
    done = swap.recover(app, actor=actor)
    return 0 if quiet else [{"app": app, "put right": done}]


def _restore(given: argparse.Namespace, *, actor: str) -> dict[str, Any] | int:
    if given.at:
        choice.moment(given.at)
    if not configured():
        load()
    if not given.check_only and _INSIDE not in os.environ:
        return _in_a_unit(given.app, actor)
    return restore.run(
        given.app,
        actor=actor,
        at=given.at,
        named=given.backup,
        release=given.release or "",
        migrate=given.migrate,
        check_only=given.check_only,
    )


def _in_a_unit(app: str, actor: str) -> int:
    """Restore in a unit of its own: a lost connection does not end it, and systemd puts right what it leaves."""
    program = os.path.abspath(sys.argv[0])
    unit = f"slipway-restore-{app}"
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit={unit}"]
    words += [f"--description=Restore of {app}", "--property=TimeoutStopSec=15min"]
    words += [f"--property=ExecStopPost={program} recover --quiet {app}", f"--setenv={_INSIDE}={actor}"]
    if fault := os.environ.get(VARIABLE):
        words.append(f"--setenv={VARIABLE}={fault}")
    if subprocess.run(["systemctl", "is-active", "--quiet", unit]).returncode == 0:
        raise SlipwayError(f"A restore of {app} is running: journalctl -u {unit}", code=BAD_REQUEST)
    return subprocess.run([*words, program, *sys.argv[1:]]).returncode
