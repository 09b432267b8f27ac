"""A database of PostgreSQL as it is at one moment, whoever writes to it meanwhile."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from slipway import process
from slipway.data import fingerprint
from slipway.data.fingerprint import Fingerprint
from slipway.errors import SlipwayError

# Temporary tables and those of extensions are nobody's data.
_TABLES = """
select json_agg(format('%I.%I', n.nspname, c.relname) order by n.nspname, c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
and not exists (select 1 from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype = 'e');
"""
# A sum does not mind in which order rows come, nor needs to hold them.
_COUNT = """
select json_build_array(count(*), coalesce(sum(('x' || left(md5((slipway_row)::text), 15))::bit(60)::bigint), 0)::text)
from {table} slipway_row;
"""
EXTENSIONS = (
    "select coalesce(json_agg(extname order by extname), '[]') from pg_catalog.pg_extension where extname <> 'plpgsql';"
)


@contextmanager
def connected(place: process.Place, name: str) -> Iterator[Session]:
    """One connection, for as long as the block runs.

    Args:
        place: as whom, and where.
        name: the database, for messages.
    """
    with subprocess.Popen(
        ["psql", "-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **place.arguments(),
    ) as psql:
        assert psql.stdin is not None  # noqa: S101
        assert psql.stdout is not None  # noqa: S101
        assert psql.stderr is not None  # noqa: S101
        try:
            yield Session(psql.stdin, psql.stdout, psql.stderr, name)
        finally:
            psql.kill()


@contextmanager
def opened(place: process.Place, name: str) -> Iterator[Session]:
    """One transaction that sees one moment of a database.

    Args:
        place: as whom, and where.
        name: the database, for messages.

    Raises:
        SlipwayError: it cannot be read.
    """
    with connected(place, name) as session:
        session.one("set search_path = ''; begin isolation level repeatable read read only; select 1;")
        yield session


class Session:
    """One connection to a database, asked line by line."""

    def __init__(self, source: IO[str], sink: IO[str], errors: IO[str], name: str) -> None:
        self._source, self._sink, self._errors, self._name = source, sink, errors, name

    def one(self, sql: str) -> str:
        """The one line that a query gives."""
        try:
            self._source.write(f"{sql}\n")
            self._source.flush()
            line = self._sink.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            said = self._errors.read().splitlines()[-12:]
            raise SlipwayError(f"The database {self._name} cannot be read.", log=said)
        return line.rstrip("\n")

    def snapshot(self) -> str:
        """A name under which another connection sees the same moment."""
        return self.one("select pg_export_snapshot();")

    def extensions(self) -> list[str]:
        return list(json.loads(self.one(EXTENSIONS)))

    def fingerprint(self) -> Fingerprint:
        tables = json.loads(self.one(_TABLES) or "[]")
        counts, content = {}, {}
        for table in tables:
            rows, digest = json.loads(self.one(_COUNT.format(table=table)))
            counts[table], content[table] = int(rows), str(digest)
        heads: tuple[str, ...] = ()
        for table in tables:
            if table.rpartition(".")[2] == fingerprint.VERSION_TABLE:
                found = self.one(f"select coalesce(json_agg(version_num), '[]') from {table};")  # noqa: S608
                heads = tuple(sorted(json.loads(found)))
        return Fingerprint(counts, heads, content)
