"""An app's SQLite databases: files in `shared/`, copied while the app writes to them.

Whatever opens one of them runs as the app's user: SQLite makes files beside a database, and those must not be root's.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import slipway
from slipway import process
from slipway.data import fingerprint
from slipway.data.fingerprint import Fingerprint

_MAGIC = b"SQLite format 3\0"
_TIMEOUT = 3600.0
_BUSY = 60.0
SIDES = ("-wal", "-shm", "-journal")


def find(shared: Path) -> list[Path]:
    """Every SQLite database in a tree, sorted; no link is followed."""
    return sorted(path for path in _files(shared) if _is_database(path))


def _files(tree: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(tree):
        yield from (Path(directory, name) for name in names)


def _is_database(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def copy(app: str, source: Path, target: Path) -> Fingerprint:
    """Copy a database as it is at one moment, others writing to it, and look through the copy.

    Args:
        app: whose it is.
        source: the database.
        target: a new file, in a directory that the app's user may write to.

    Raises:
        SlipwayError: it cannot be read or is damaged, or there is no room.
    """
    return _child(app, f"The copy of {source.name}", "copy", source, target)


def inspect(app: str, path: Path) -> Fingerprint:
    """Look through a database that nobody uses.

    Raises:
        SlipwayError: it is damaged, or no database at all.
    """
    return _child(app, f"Looking through {path.name}", "inspect", path)


def _child(app: str, name: str, verb: str, *paths: Path) -> Fingerprint:
    place = process.Place(app, Path("/"), {"PATH": "/usr/bin:/bin"})
    root = Path(slipway.__file__).parent.parent
    code = "import sys; sys.path.insert(0, sys.argv[1]); from slipway.data import sqlite; sqlite.child(*sys.argv[2:])"
    words = [sys.executable, "-I", "-c", code, str(root), verb, *map(str, paths)]
    lines = process.run_words(place, words, timeout=_TIMEOUT, name=name)
    return fingerprint.parse(json.loads(lines[-1]))


# -- what the app's own user does


def child(verb: str, *paths: str) -> None:
    """What `_child` starts; prints a fingerprint."""
    try:
        if verb == "copy":
            _copy(paths[0], paths[1])
        found = _inspect(paths[-1])
    except (sqlite3.Error, OSError) as error:
        raise SystemExit(f"{paths[0]}: {error}") from None
    print(json.dumps(found.public()))


def _copy(source: str, target: str) -> None:
    reader = sqlite3.connect(f"file:{quote(source)}?mode=rw", uri=True, timeout=_BUSY)
    writer = sqlite3.connect(target)
    with reader, writer:
        # All in one step: it reads one moment of the database, and in WAL mode no writer waits for it.
        reader.backup(writer)
    writer.close()
    reader.close()


def _inspect(path: str) -> Fingerprint:
    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True)
    connection.execute("pragma trusted_schema = off")
    verdict = connection.execute("pragma integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"it is damaged: {' '.join(verdict.split())}")
    tables = {name: _count(connection, name) for name in _tables(connection)}
    heads: tuple[str, ...] = ()
    if fingerprint.VERSION_TABLE in tables:
        heads = tuple(sorted(str(row[0]) for row in connection.execute("select version_num from alembic_version")))
    connection.close()
    return Fingerprint(tables, heads)


def _tables(connection: sqlite3.Connection) -> list[str]:
    listed = connection.execute("select name, sql from sqlite_master where type = 'table' order by name").fetchall()
    return [
        str(name)
        for name, sql in listed
        if not name.startswith("sqlite_") and not str(sql).upper().startswith("CREATE VIRTUAL")
    ]


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    row: tuple[Any, ...] = connection.execute(f'select count(*) from "{quoted}"').fetchone()  # noqa: S608
    return int(row[0])
