"""The `slipway` command."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from slipway import build, history, priority, process, readiness, removal, spec, transaction, units
from slipway.data import swap, verbs
from slipway.errors import BAD_REQUEST, SlipwayError
from slipway.layout import APP_NAME, RELEASE_ID, Layout, apps

_TEMPORARY = "/var/tmp"  # noqa: S108 - a name in it that nobody can guess
_DESCRIPTION = (
    "Releases of the Flask apps on this host: see them, roll one back, read its logs, run a command in it; "
    "and their data: back it up, bring it back."
)
_EPILOG = "Exit codes: 0 done, 1 failed, 2 bad request, 3 another deploy holds the lock, 4 a release is not healthy."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("slipway", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    commands = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, text: str, *, app: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        if app:
            command.add_argument("app", metavar="APP", type=_app)
        return command

    verb("status", "what serves, and whether it runs", app=False)
    verb("deploy-check", "whether the host is ready for a deploy: lock, disk, what serves", app=False)
    verb("releases", "the releases on disk, oldest first")
    command = verb("rollback", "switch back to the previous good release, or to a named one")
    command.add_argument("release", metavar="RELEASE", nargs="?", type=_release)
    command.add_argument(
        "--force", action="store_true", help="even to a failed release, or to one the database outgrew"
    )
    command = verb("logs", "the log of the release that serves")
    command.add_argument("-f", "--follow", action="store_true", help="go on as new lines come")
    command.add_argument("-n", "--lines", type=int, default=50, help="how many lines (50)")
    command = verb("run", "run a command with the app's user, environment and settings")
    command.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER)
    verbs.declare(verb, _app, _release)
    command = verb("remove", "stop an app and take its code away", app=False)
    command.add_argument("app", metavar="APP", type=_name)
    command.add_argument("--data", action="store_true", help="its data too")
    verb("start", "start the release that `current` names (systemd does this at boot)")
    verb("stop", "stop every instance")
    command = verb("plan", "read deploy requests as a JSON list from standard input; say what would change", app=False)
    command = verb("deploy", "read one deploy request as JSON from standard input and carry it out", app=False)
    command.add_argument(
        "--archive", metavar="FILE", help="the source, packed by tar; -: it follows the request's line"
    )
    return parser


def _app(name: str) -> str:
    if not APP_NAME.fullmatch(name) or name not in apps():
        known = ", ".join(apps()) or "none yet"
        raise argparse.ArgumentTypeError(f"no app {name!r} on this host (there are: {known})")
    return name


def _name(name: str) -> str:
    if not APP_NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name!r} is not the name of an app")
    return name


def _release(name: str) -> str:
    if not RELEASE_ID.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name!r} is no release id: 12 digits and letters a to f")
    return name


def _actor() -> str:
    return f"{os.environ.get('SUDO_USER') or getpass.getuser()} on the host"


def _status() -> list[dict[str, Any]]:
    rows = []
    for app in apps():
        layout = Layout(app)
        current = layout.current_id()
        running = current is not None and units.is_active(app, current)
        rows.append({"app": app, "release": current, "running": running, "previous": history.previous(layout)})
    return rows


def _releases(app: str) -> list[dict[str, Any]]:
    layout = Layout(app)
    current = layout.current_id()
    rows = []
    for path in layout.releases.iterdir():
        if build.is_complete(layout, path.name):
            record = build.record(layout, path.name)
            state = "serving" if path.name == current else "failed" if history.is_failed(layout, path.name) else "good"
            revision = record["spec"]["revision"] or "-"
            rows.append(
                {
                    "release": path.name,
                    "built": record["built"],
                    "revision": revision[:12],
                    "state": state,
                    "by": record["spec"]["actor"],
                }
            )
    return sorted(rows, key=lambda row: str(row["built"]))


def _run(app: str, command: list[str]) -> int:
    layout = Layout(app)
    release = layout.current_id()
    if release is None:
        raise SlipwayError(f"{app} has no release yet.")
    if not command:
        raise SlipwayError("Name a command, for example: slipway run APP flask shell", code=BAD_REQUEST)
    return process.interactive(app, layout.release(release), command)


def _deploy(file: str | None) -> dict[str, Any]:
    # The app itself is started by systemd, with a share of its own.
    priority.step_back()
    wanted = spec.parse(sys.stdin.buffer.readline().decode())
    with _received() if file == "-" else contextlib.nullcontext(Path(file) if file else None) as archive:
        swap.recover(wanted.app, actor=wanted.actor)
        return transaction.deploy(wanted, archive)


@contextlib.contextmanager
def _received() -> Iterator[Path]:
    """The rest of standard input as a file, on the disk: /tmp may be memory."""
    with tempfile.NamedTemporaryFile(dir=_TEMPORARY, prefix="slipway-", suffix=".tar") as archive:
        try:
            shutil.copyfileobj(sys.stdin.buffer, archive)
            archive.flush()
        except OSError as error:
            raise SlipwayError(f"The source cannot be put into {_TEMPORARY}: {error.strerror}.") from error
        yield Path(archive.name)


def _rollback(app: str, release: str | None, *, force: bool) -> dict[str, Any]:
    swap.recover(app, actor=_actor())
    return transaction.rollback(app, release, actor=_actor(), force=force)


def _start(app: str) -> None:
    try:
        swap.recover(app, actor="a restart of the machine")
    except SlipwayError as error:
        # With a database that does not answer, the app had better say so itself than not run at all.
        print(f"slipway: {error}", file=sys.stderr)
    transaction.start(app)


def _logs(app: str, *, follow: bool, lines: int) -> int:
    # All instances of the app: the lines around a switch come from two of them.
    command = ["journalctl", "--unit", f"{app}@*.service", "--lines", str(lines), "--output=short-iso"]
    command.append("--follow" if follow else "--no-pager")
    return subprocess.run(command).returncode


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "none yet"
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return "-" if value is None else str(value)


_VERBS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "status": lambda _: _status(),
    "deploy-check": lambda _: readiness.check(),
    "releases": lambda given: _releases(given.app),
    "rollback": lambda given: _rollback(given.app, given.release, force=given.force),
    "remove": lambda given: removal.remove(given.app, data=given.data, actor=_actor()),
    "logs": lambda given: _logs(given.app, follow=given.follow, lines=given.lines),
    "run": lambda given: _run(given.app, given.command),
    "start": lambda given: _start(given.app),
    "stop": lambda given: transaction.stop(given.app),
    "plan": lambda _: [transaction.plan(spec.parse(json.dumps(request))) for request in json.load(sys.stdin)],
    "deploy": lambda given: _deploy(given.archive),
    **verbs.verbs(_actor),
}


def _print(result: Any, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, sort_keys=True))
    elif isinstance(result, list):
        print(_table(result))
    elif isinstance(result, dict) and "backup" in result:
        print(_told(result))
    elif isinstance(result, dict) and "release" not in result:
        print(f"{result['app']} {'is gone' if result['changed'] else 'was not there'}")
    elif isinstance(result, dict):
        before = f" (before: {result['previous']})" if result["previous"] else ""
        verb = "now serves" if result["changed"] else "already serves"
        print(f"{result['app']} {verb} release {result['release']}{before}")


def _told(restored: dict[str, Any]) -> str:
    whole = f"{restored['app']}: backup {restored['backup']} of {restored['taken']}, {restored['tables']} tables with "
    whole += f"{restored['rows']} rows and {restored['files']} files"
    if not restored["changed"]:
        return f"{whole}, can be restored: every row is as it was. Nothing was changed."
    return (
        f"{whole}, is back, and release {restored['serves']} serves it.\n"
        f"What it replaced is kept, and is in backup {restored['safety']}: slipway restored {restored['app']}"
    )


def _plain(error: OSError) -> SlipwayError:
    """What the file system refused, where nothing nearer to it has said so."""
    alone = isinstance(error, PermissionError) and os.geteuid() != 0
    hint = "Run it as root: sudo slipway …" if alone else "What serves now: sudo slipway status"
    files = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return SlipwayError(f"{files or 'The file system'}: {error.strerror or error}.", hint=hint)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code (see `slipway --help`)."""
    parsed = _parser().parse_args(arguments)
    try:
        result = _VERBS[parsed.verb](parsed)
    except (SlipwayError, OSError) as found:
        error = found if isinstance(found, SlipwayError) else _plain(found)
        if parsed.json:
            print(json.dumps({"failed": True, "msg": str(error), "code": error.code}))
        else:
            print(f"slipway: {error}", file=sys.stderr)
        return error.code
    if isinstance(result, int):
        return result
    _print(result, as_json=parsed.json)
    return 0
