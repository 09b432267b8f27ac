"""The moment of a restore: what was brought back takes the place of what serves, and back again where it is no good.

What is under way stands in `restore.json`. Found there without a process at it, the swap died: `recover` puts what was
serving back, unless the new data had already been found good.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from slipway import durable, faults, history, lock, process, serving, units, workers
from slipway.data import backup, closed
from slipway.data.config import Config
from slipway.data.postgresql import Server
from slipway.errors import SlipwayError
from slipway.layout import Layout
from slipway.spec import Spec

_AT_FDCWD = -100
_EXCHANGE = 2
OLD = "old"


@dataclass(frozen=True)
class Swap:
    """What is to change places, and how to tell whether it has.

    Args:
        app: the app.
        stamp: when, which names what is kept.
        backup: what comes.
        safety: the backup of what goes.
        before: the release that serves.
        after: the release that is to serve the restored data.
        new: the database that was filled; empty where there is none.
        old: what the app's database is called afterwards.
        inode: of the directory of files that goes.
        closed: whether the page that visitors meet is ours to take away.
        good: whether the restored data was found to serve.
        actor: who asked.
    """

    app: str
    stamp: str
    backup: str
    safety: str
    before: str
    after: str
    new: str
    old: str
    inode: int
    actor: str
    closed: bool = False
    good: bool = False

    def write(self, layout: Layout) -> Swap:
        durable.write_file(layout.restore, json.dumps(asdict(self)).encode() + b"\n", mode=0o600)
        return self

    def kept(self, layout: Layout) -> Path:
        """Where the files stay that were replaced."""
        return layout.replaced / self.stamp


def perform(layout: Layout, config: Config, swap: Swap, *, migrate: bool) -> None:
    """Change places and see that the app serves.

    Raises:
        SlipwayError: it does not, or what it needs could not be done; what had been serving is serving.
    """
    swap = swap.write(layout)
    faults.point("swap:noted")
    try:
        swap = replace(swap, closed=closed.close(config, layout.app)).write(layout)
        _stop(layout)
        faults.point("swap:stopped")
        _exchange(layout, swap)
        faults.point("swap:exchanged")
        if swap.after != swap.before:
            serving.point(layout, swap.after)
        spec = backup.spec_of(layout, swap.after)
        if migrate and spec.release_command:
            process.run(
                layout.app,
                layout.release(swap.after),
                spec.release_command,
                timeout=spec.release_timeout,
                name="release_command",
            )
        _start(layout, swap.after, spec)
        faults.point("swap:started")
    except BaseException as error:
        _undo(layout, config, swap, failed=str(error))
        if isinstance(error, SlipwayError):
            error.hint = " ".join(part for part in (error.hint, _unharmed(swap)) if part)
        raise
    swap = replace(swap, good=True).write(layout)
    faults.point("swap:good")
    _finish(layout, config, swap)


def recover(app: str, *, actor: str) -> bool:
    """Put right what a restore that died has left; whether there was anything.

    Raises:
        SlipwayError: somebody else is at it, or it cannot be put right.
    """
    layout = Layout(app)
    if not layout.restore.exists():
        return False
    with lock.held(layout, actor=actor, timeout=60):
        if not layout.restore.exists():
            return False
        swap = Swap(**json.loads(layout.restore.read_text()))
        config = _config()
        if swap.good:
            _finish(layout, config, swap)
            return True
        server = _server(layout, swap)
        with server.alone(swap.new, 60) if server else contextlib.nullcontext():
            _undo(layout, config, swap, failed="interrupted")
    return True


def _config() -> Config:
    from slipway.data import config  # noqa: PLC0415 - the module, where the name is taken

    # What a restore has begun, it ends even where nobody backs up any more.
    return config.load() if config.configured() else Config("", "")


# -- the parts


def _server(layout: Layout, swap: Swap) -> Server | None:
    return backup.server_of(layout, backup.spec_of(layout, swap.before), swap.before) if swap.new else None


def _stop(layout: Layout) -> None:
    """Stop all of an app: what holds its database open, or would open it."""
    workers.pause_timers(layout.app)
    workers.stop(layout.app)
    for release in units.instances(layout.app):
        units.stop(layout.app, release)


def _start(layout: Layout, release: str, spec: Spec) -> None:
    # What the backup did not have yet, but the app's directories are told to have.
    subprocess.run(["systemd-tmpfiles", "--create", f"--prefix={layout.shared}"], capture_output=True)
    serving.bring_up(layout, release, spec)
    if spec.front:
        serving.ask_front(spec)
    workers.bring_over(layout, release, spec)
    workers.follow(layout, spec)


def _exchange(layout: Layout, swap: Swap) -> None:
    """Database first, then files: each is one step, and which of them was done can be seen afterwards."""
    server = _server(layout, swap)
    if server:
        server.swap(swap.new, swap.old)
    faults.point("swap:database")
    exchange(layout.shared, layout.restoring / "shared")
    durable.sync_directory(layout.base)


def exchange(one: Path, other: Path) -> None:
    """Let two directories change names in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(one))


def _undo(layout: Layout, config: Config, swap: Swap, *, failed: str) -> None:
    """What had been serving serves."""
    _stop(layout)
    if layout.shared.stat().st_ino != swap.inode:
        exchange(layout.shared, layout.restoring / "shared")
        durable.sync_directory(layout.base)
    server = _server(layout, swap)
    if server:
        if server.exists(swap.old):
            server.swap_back(swap.old, swap.new)
        server.drop(swap.new)
    if layout.current_id() != swap.before:
        serving.point(layout, swap.before)
    shutil.rmtree(layout.restoring, ignore_errors=True)
    # Should it not be healthy, it was not so before either: the first failure is the one to tell.
    with contextlib.suppress(SlipwayError):
        _start(layout, swap.before, backup.spec_of(layout, swap.before))
    if swap.closed:
        closed.open_again(config, layout.app)
    _note(layout, swap, result="failed", reason=failed)
    layout.restore.unlink()


def _finish(layout: Layout, config: Config, swap: Swap) -> None:
    """The restored data serves; what it replaced is kept."""
    kept = swap.kept(layout)
    kept.mkdir(parents=True, exist_ok=True)
    for path in (layout.replaced, kept):
        path.chmod(0o700)
    if (layout.restoring / "shared").exists():
        durable.rename(layout.restoring / "shared", kept / "shared")
    durable.write_file(kept / "replaced.json", json.dumps(asdict(swap)).encode() + b"\n")
    shutil.rmtree(layout.restoring, ignore_errors=True)
    if swap.closed:
        closed.open_again(config, layout.app)
    _note(layout, swap, result="ok")
    layout.restore.unlink()


def _note(layout: Layout, swap: Swap, **result: Any) -> None:
    about = {"action": "restore", "release": swap.after, "previous": swap.before, "by": swap.actor}
    history.write(layout, **about, backup=swap.backup, safety=swap.safety, **result)


def _unharmed(swap: Swap) -> str:
    return f"The data from before is back in its place, and release {swap.before} serves it."


# -- what is kept


def kept(layout: Layout) -> list[dict[str, Any]]:
    """What restores have replaced, oldest first."""
    rows = []
    for path in sorted(layout.replaced.glob("*/replaced.json")):
        swap = Swap(**json.loads(path.read_text()))
        rows.append(
            {
                "app": layout.app,
                "replaced": swap.stamp,
                "by backup": swap.backup,
                "files": str(swap.kept(layout) / "shared"),
                "database": swap.old or None,
                "set aside as": swap.safety,
            }
        )
    return rows


def forget(layout: Layout, *, apart: bool = True) -> list[dict[str, Any]]:
    """Drop all that restores have replaced; returns what that was.

    Args:
        layout: the app.
        apart: whether databases on another host go too. With the app's own they go there, in time.
    """
    rows = kept(layout)
    for row in rows:
        release = layout.current_id()
        if row["database"] and release:
            server = backup.server_of(layout, backup.spec_of(layout, release), release)
            if apart or not server.apart:
                server.drop(str(row["database"]))
        shutil.rmtree(layout.replaced / str(row["replaced"]))
    with contextlib.suppress(OSError):
        layout.replaced.rmdir()
    return rows
