"""An app's database in PostgreSQL: on this host, by its Unix socket, or on another one, where it can be read only.

The app's own user reads it and fills what is restored: a function that somebody has planted in a table's definition
runs with that user's rights and no others. `postgres` makes, renames and drops databases, and looks into none.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from slipway import lock, process, spec
from slipway.data.fingerprint import Fingerprint
from slipway.data.postgresql_session import EXTENSIONS, Session, opened
from slipway.errors import SlipwayError

_SOCKET = "/run/postgresql"
_TIMEOUT = 6 * 3600.0
_ADMIN = "postgres"
# The same rows are the same text, whatever the database's own settings say.
_SETTINGS = {
    "datestyle": "ISO,MDY",
    "timezone": "UTC",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "row_security": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_FORM = """
select json_build_array(pg_encoding_to_char(encoding), datcollate, datctype) from pg_database where datname = {name};
"""
# What postgres has made beforehand, or every database has.
_NOT_RESTORED = re.compile(
    r"^\d+; \d+ \d+ (EXTENSION - |COMMENT - EXTENSION |SCHEMA - public |COMMENT - SCHEMA public )"
)


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Server:
    """The server that an app's database is on, seen as the app and as its administrator.

    Args:
        app: the app, whose user logs in by its own name.
        database: what the app's spec says of it.
        credentials: what the app logs in with on another host; on this one its user is enough.
    """

    def __init__(self, app: str, database: spec.Database, credentials: Mapping[str, str] | None = None) -> None:
        self.app = app
        self.name = database.name
        self.apart = database.host
        self._database = database
        self._credentials = dict(credentials or {})

    def _place(self, user: str, role: str, database: str) -> process.Place:
        settings = " ".join(f"-c {key}={value}" for key, value in _SETTINGS.items())
        variables = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PGHOST": self.apart or os.environ.get("SLIPWAY_PGHOST", _SOCKET),
            "PGPORT": str(self._database.port),
            "PGUSER": role,
            "PGDATABASE": database,
            "PGCONNECT_TIMEOUT": "20",
            "PGOPTIONS": settings,
            **self._credentials,
        }
        return process.Place(user, Path("/"), variables)

    def _as_app(self, database: str) -> process.Place:
        return self._place(self.app, self._database.user, database)

    def _ask(self, sql: str, place: process.Place, what: str) -> list[str]:
        """The lines that a query gives."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"],
            input=sql,
            capture_output=True,
            text=True,
            **place.arguments(),
        )
        if done.returncode:
            raise SlipwayError(f"{what} failed.", log=done.stderr.splitlines()[-12:])
        return done.stdout.splitlines()

    def _administer(self, sql: str, what: str) -> list[str]:
        if self.apart:
            raise SlipwayError(
                f"The database of {self.app} is on {self.apart}, where this host may make and rename none.",
                hint="docs/backups.md says how to restore it there.",
            )
        return self._ask(sql, self._place(_ADMIN, _ADMIN, _ADMIN), what)

    # -- what is there

    def names(self, like: str) -> list[str]:
        """The databases whose name begins so, sorted."""
        sql = f"select datname from pg_database where starts_with(datname, {_literal(like)}) order by 1;"  # noqa: S608
        return self._administer(sql, "Looking which databases there are")

    def exists(self, name: str) -> bool:
        return bool(self.apart) or name in self.names(name)

    def size(self) -> int:
        """Bytes that the app's database takes; none where it is not there."""
        if self.apart:
            asked = self._ask("select pg_database_size(current_database());", self._as_app(self.name), "Measuring it")
            return int(asked[0])
        sql = "select coalesce(sum(pg_database_size(oid)), 0) from pg_database where datname = "
        return int(self._administer(f"{sql}{_literal(self.name)};", "Measuring the database")[0])

    def directory(self) -> Path:
        """Where its files are."""
        return Path(self._administer("show data_directory;", "Asking for the data directory")[0])

    def fingerprint(self, name: str) -> Fingerprint:
        with self._session(name) as session:
            return session.fingerprint()

    # -- out of it

    def dump(self, target: Path) -> tuple[Fingerprint, list[str]]:
        """Write the app's database to a file, as it is at one moment, others writing to it; see that it can be read.

        Returns:
            What it held at that very moment, and the extensions that it uses.
        """
        # Not compressed: restic does that, and then finds again what it has stored already.
        words = ["pg_dump", "-Fc", "--compress=0", "--no-password", "--snapshot"]
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with self._session(self.name) as session, os.fdopen(descriptor, "wb") as stream:
            place = self._as_app(self.name)
            done = subprocess.run(
                [*words, session.snapshot()], stdout=stream, stderr=subprocess.PIPE, **{**_kept(), **place.arguments()}
            )
            if done.returncode:
                said = done.stderr.decode(errors="replace").splitlines()[-12:]
                raise SlipwayError(f"The dump of the database {self.name} failed.", log=said)
            found = session.fingerprint()
            extensions = session.extensions()
        self.verify(target)
        return found, extensions

    def verify(self, dump: Path) -> None:
        """Read a dump from its first byte to its last.

        Raises:
            SlipwayError: it is cut off or no dump.
        """
        with dump.open("rb") as stream:
            done = subprocess.run(
                ["pg_restore", "--file=/dev/null"],
                stdin=stream,
                capture_output=True,
                text=True,
                **self._as_app(self.name).arguments(),
            )
        if done.returncode:
            raise SlipwayError(
                f"The dump of the database {self.name} is not whole.", log=done.stderr.splitlines()[-12:]
            )

    # -- into it

    def create(self, name: str) -> None:
        """Make an empty database for the app, of the same form as the one it has."""
        found = self._administer(_FORM.format(name=_literal(self.name)), "Looking at the database")
        encoding, collate, ctype = json.loads(found[0]) if found else ("UTF8", "", "")
        form = f"template template0 encoding {_literal(encoding)}"
        if collate:
            form += f" lc_collate {_literal(collate)} lc_ctype {_literal(ctype)}"
        # Nobody connects to a database of ours who is not let in.
        self._administer(
            f"create database {quoted(name)} owner {quoted(self._database.user)} {form};\n"
            f"revoke all on database {quoted(name)} from public;",
            f"Making the database {name}",
        )

    def restore(self, dump: Path, name: str, extensions: Sequence[str]) -> None:
        """Fill an empty database from a dump.

        Raises:
            SlipwayError: any of it failed; with PostgreSQL's own words.
        """
        self._extend(name, extensions)
        place = self._as_app(name)
        with dump.open("rb") as stream:
            listed = subprocess.run(
                ["pg_restore", "--list"], stdin=stream, capture_output=True, text=True, **place.arguments()
            )
        if listed.returncode:
            raise SlipwayError(f"{dump.name} is no dump of a database.", log=listed.stderr.splitlines()[-12:])
        wanted = "".join(f"{line}\n" for line in listed.stdout.splitlines() if not _NOT_RESTORED.match(line))
        # Both reach the app's user as open files: the directory that they are in is none of its business.
        contents = os.memfd_create("contents")
        os.write(contents, wanted.encode())
        words = ["pg_restore", "--no-password", "--exit-on-error", "--no-owner", f"--dbname={name}"]
        try:
            with dump.open("rb") as stream:
                done = subprocess.run(
                    [*words, f"--use-list=/proc/self/fd/{contents}"],
                    stdin=stream,
                    capture_output=True,
                    text=True,
                    pass_fds=(contents, *lock.held_by),
                    **place.arguments(),
                )
        finally:
            os.close(contents)
        if done.returncode:
            said = done.stderr.splitlines()[-12:]
            raise SlipwayError(f"Restoring the dump into the database {name} failed.", log=said)
        self._ask("analyze;", place, "Gathering statistics")

    def _extend(self, name: str, extensions: Sequence[str]) -> None:
        live = (
            self._ask(EXTENSIONS, self._as_app(self.name), "Looking at the extensions")
            if self.exists(self.name)
            else ["[]"]
        )
        allowed = set(json.loads(live[0]))
        for extension in extensions:
            sql = f"create extension if not exists {quoted(extension)};"
            # What the database has already, its administrator has agreed to; anything else is for the app to try.
            place = self._place(_ADMIN, _ADMIN, name) if extension in allowed else self._as_app(name)
            self._ask(sql, place, f"Making the extension {extension} (apps.{self.app}.postgresql.extensions)")

    # -- in its place

    def swap(self, new: str, old: str) -> None:
        """Let `new` take the place of the app's database, which is `old` from then on; both at once or neither."""
        self._rename_over(self.name, to=old, by=new)

    def _rename_over(self, live: str, *, to: str, by: str) -> None:
        rename = f"alter database {quoted(live)} rename to {quoted(to)};\n" if self.exists(live) else ""
        self._administer(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname in "  # noqa: S608
            f"({_literal(live)}, {_literal(by)}) and pid <> pg_backend_pid();\n"
            f"begin;\n{rename}alter database {quoted(by)} rename to {quoted(live)};\ncommit;",
            f"Renaming the database {by} to {live}",
        )

    def swap_back(self, old: str, new: str) -> None:
        """Undo a `swap`; what was restored is `new` again."""
        self._rename_over(self.name, to=new, by=old)

    def drop(self, name: str) -> None:
        """Drop one of our own databases beside the app's, where it is there; never the app's."""
        if name == self.name:
            raise SlipwayError(f"{name} is the database of {self.app} itself, which is not dropped.")
        self._administer(f"drop database if exists {quoted(name)} with (force);", f"Dropping the database {name}")

    # -- one connection

    def _session(self, name: str) -> AbstractContextManager[Session]:
        return opened(self._as_app(name), name)


def _kept() -> dict[str, tuple[int, ...]]:
    """The app's lock stays as long as what this program has started."""
    return {"pass_fds": tuple(lock.held_by)}
