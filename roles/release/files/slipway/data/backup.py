"""Taking a backup: databases first, each as it is at one moment, then one snapshot of them and the app's files."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway import build, durable, faults, lock, process, room
from slipway.data import credentials, manifest, sqlite, status
from slipway.data.config import MARGIN, Config, load, work
from slipway.data.every import every
from slipway.data.manifest import Manifest, Part
from slipway.data.postgresql import Server
from slipway.data.repository import Backup, Repository
from slipway.errors import BUSY, SlipwayError
from slipway.layout import Layout
from slipway.spec import Spec, from_public

# A file of the app's own, or a database's, that a backup of the database makes needless.
_POSTGRESQL = "postgresql.dump"


def run(app: str, *, kind: str, actor: str) -> dict[str, Any]:
    """Back one app up and note how it went.

    Raises:
        SlipwayError: there is no new backup, and the ones there were are as before.
    """
    config, layout = load(), Layout(app)
    with status.told(app, "backup") as about, one_at_a_time(app, config.wait):
        with lock.held(layout, actor=actor, timeout=config.wait):
            staged = stage(layout, kind=kind)
        about.update(_store(layout, config, staged))
    return about


def run_all(*, kind: str, actor: str) -> list[dict[str, Any]]:
    """Back every app up, one after the other, and forget what is old; a failure of one does not hold up the others.

    Raises:
        SlipwayError: some failed; with why.
    """

    def one(app: str) -> Iterator[dict[str, Any]]:
        yield run(app, kind=kind, actor=actor)
        retire(app)

    return every(one, good="Backed up:", hint="Not every app has a new backup.")


def inside(layout: Layout, *, kind: str, before: str = "") -> dict[str, Any] | None:
    """Back an app up whose lock this process holds already; None where it has never had a release, nor data."""
    config = load()
    with status.told(layout.app, "backup") as about, one_at_a_time(layout.app, config.wait):
        staged = stage(layout, kind=kind, before=before)
        if layout.current_id() is None and staged.is_empty:
            return None
        about.update(_store(layout, config, staged))
    return about


@contextlib.contextmanager
def staged(layout: Layout, *, kind: str, before: str = "") -> Iterator[tuple[Manifest, Path]]:
    """Copies of an app's databases, and the directory that holds them while the block runs."""
    with one_at_a_time(layout.app, 600):
        found = stage(layout, kind=kind, before=before)
        yield found, Path(found.staging)


def retire(app: str) -> int:
    """Forget what the rules keep no longer; never what the way back to a release on disk needs."""
    config, layout = load(), Layout(app)
    releases = [path.name for path in layout.releases.iterdir() if build.is_complete(layout, path.name)]
    return Repository(config).retire(app, config.keep, [f"before={release}" for release in releases])


@contextlib.contextmanager
def one_at_a_time(app: str, timeout: float) -> Iterator[None]:
    """One process at a time in the app's working directory; what a dead one has left there is cleared away."""
    directory = work(app)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SlipwayError(f"Another backup of {app} is still running.", code=BUSY) from None
                time.sleep(0.2)
        _clear(directory)
        try:
            yield
        finally:
            _clear(directory)
    finally:
        os.close(descriptor)


def _clear(directory: Path) -> None:
    for name in ("staging", "copies"):
        shutil.rmtree(directory / name, ignore_errors=True)


# -- the copies


def spec_of(layout: Layout, release: str) -> Spec:
    """What a release was built from.

    Raises:
        SlipwayError: there is none yet.
    """
    if not release:
        raise SlipwayError(f"{layout.app} has no release yet, and so nothing that could be backed up.")
    return from_public(build.record(layout, release)["spec"])


def server_of(layout: Layout, spec: Spec, release: str) -> Server:
    """The server of a release's database, which that release knows how to log in to."""
    return Server(layout.app, spec.database, credentials.of_release(spec.database, _settings(layout, spec, release)))


def _settings(layout: Layout, spec: Spec, release: str) -> Path:
    return layout.release(release) / spec.settings.filename


def stage(layout: Layout, *, kind: str, before: str = "") -> Manifest:
    """Copy an app's databases into its working directory and describe what is there.

    Args:
        layout: the app.
        kind: why the backup is taken.
        before: the release that is about to be deployed.

    Raises:
        SlipwayError: a database is damaged or cannot be reached, or there is no room for the copies.
    """
    release = layout.current_id()
    spec = spec_of(layout, release or before)
    directory = work(layout.app)
    staging = directory / "staging"
    staging.mkdir(mode=0o700)
    at = datetime.now(UTC).replace(microsecond=0)
    databases = sqlite.find(layout.shared)
    server = server_of(layout, spec, release or before) if spec.database.kind == "postgresql" else None
    size = sum(path.stat().st_size for path in databases) + (server.size() if server else 0)
    room.require(directory, size + size // 10 + MARGIN, "a copy of the databases may need")
    parts = [_copy_sqlite(layout, path, directory) for path in databases]
    faults.point("backup:copied")
    if server is not None and server.exists(server.name):
        parts.append(_dump_postgresql(server, staging))
    files, size = _measure(layout.shared, databases)
    owner = layout.shared.stat()
    found = Manifest(
        layout.app,
        at,
        kind,
        release or "",
        before,
        str(staging),
        str(layout.shared),
        files,
        size,
        owner.st_uid,
        owner.st_gid,
        tuple(parts),
    )
    durable.write_file(staging / manifest.NAME, found.dump(), mode=0o600)
    return found


def _copy_sqlite(layout: Layout, path: Path, directory: Path) -> Part:
    name = path.relative_to(layout.shared).as_posix()
    # The app's user writes the copy where it may, and nobody else can see it; from there root takes it.
    copies = directory / "copies"
    copies.mkdir(mode=0o700, exist_ok=True)
    process.give(layout.app, copies)
    copy = copies / "copy.db"
    found = sqlite.copy(layout.app, path, copy)
    target = directory / "staging" / "sqlite" / name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    size, digest = take_over(copy, target)
    shutil.rmtree(copies)
    content = replace(found, content={"file": digest})
    return Part("sqlite", name, f"sqlite/{name}", size, path.stat().st_size, content)


def take_over(source: Path, target: Path) -> tuple[int, str]:
    """Make a file that another user has written root's own; returns its size and its SHA-256.

    Raises:
        SlipwayError: it is no regular file.
    """
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
            raise SlipwayError(f"{source} is not what the copy of a database is.")
        os.fchown(descriptor, os.geteuid(), os.getegid())
        os.fchmod(descriptor, 0o600)
        os.rename(source, target)
        return about.st_size, hashlib.file_digest(stream, "sha256").hexdigest()


def _dump_postgresql(server: Server, staging: Path) -> Part:
    dump = staging / _POSTGRESQL
    found, extensions = server.dump(dump)
    return Part("postgresql", server.name, _POSTGRESQL, dump.stat().st_size, server.size(), found, tuple(extensions))


def _measure(shared: Path, databases: list[Path]) -> tuple[int, int]:
    """How many files there are beside the databases, and their bytes."""
    apart = {Path(f"{path}{side}") for path in databases for side in ("", *sqlite.SIDES)}
    files = size = 0
    for directory, _, names in os.walk(shared):
        for name in names:
            path = Path(directory, name)
            if path in apart:
                continue
            with contextlib.suppress(FileNotFoundError):
                size += path.lstat().st_size
                files += 1
    return files, size


# -- into the repository


def _store(layout: Layout, config: Config, staged: Manifest) -> dict[str, Any]:
    tags = {
        "app": layout.app,
        "kind": staged.kind,
        "release": staged.release,
        "before": staged.before,
        "heads": "+".join(staged.heads),
        "bytes": str(staged.size),
    }
    # Databases are in it as their copies; a file that changes while it is read would be worth nothing.
    databases = [layout.shared / part.name for part in staged.parts if part.kind == "sqlite"]
    excluded = [f"{path}{side}" for path in databases for side in ("", *sqlite.SIDES)]
    stored = Repository(config).save([Path(staged.staging), layout.shared], excluded, tags, staged.at)
    faults.point("backup:stored")
    return described(stored)


def described(backup: Backup) -> dict[str, Any]:
    """A backup as its list shows it."""
    return {
        "app": backup.tags["app"],
        "backup": backup.id,
        "taken": backup.at.astimezone().isoformat(timespec="seconds"),
        "kind": backup.kind,
        "release": backup.tags.get("release"),
        "migration": backup.tags.get("heads") or None,
        "bytes": int(backup.tags.get("bytes", 0)),
    }
