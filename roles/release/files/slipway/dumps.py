"""A copy of an app's SQLite databases, taken before a release command may change them."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from slipway import durable, process
from slipway.layout import Layout
from slipway.spec import Spec

_MAGIC = b"SQLite format 3\0"
_TIMEOUT = 600.0
# SQLite's own backup: consistent while others write. Run as the app, since opening a database makes files beside it.
_COPY = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))"


def take(layout: Layout, spec: Spec, release: str) -> list[str]:
    """Copy every SQLite database in `shared/` to a directory of its own that only root can read.

    Args:
        layout: the app.
        spec: says how many such directories to keep.
        release: the release that is about to change the databases.

    Returns:
        A line that says where the copies are; none where there is no database.

    Raises:
        SlipwayError: a database cannot be copied, because it is damaged or the disk is full.
    """
    found = [path for path in sorted(layout.shared.rglob("*")) if _is_database(path)]
    if not found:
        return []
    target = layout.dumps / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-before-{release}"
    target.mkdir(parents=True, mode=0o700)
    for path in found:
        copy = path.with_name(f".{path.name}.dump")
        copy.unlink(missing_ok=True)
        try:
            where = process.Place(layout.app, path.parent, {"PATH": "/usr/bin:/bin"})
            command = f"{spec.python} -c '{_COPY}' '{path}' '{copy}'"
            process.run_in(where, command, timeout=_TIMEOUT, name=f"The copy of {path.name}")
            shutil.copyfile(copy, target / path.relative_to(layout.shared).as_posix().replace("/", "-"))
        finally:
            copy.unlink(missing_ok=True)
    durable.sync_tree(target)
    for old in sorted(layout.dumps.iterdir())[: -spec.keep]:
        shutil.rmtree(old)
    return [f"The databases as they were are in {target}."]


def _is_database(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.name.endswith(".dump"):
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC
