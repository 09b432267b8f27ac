"""An app's database in PostgreSQL: on this host, by its Unix socket, or on another one, over TLS.

The app's own user reads it and fills what is restored: a function that somebody has planted in a table's definition
runs with that user's rights and no others. An administrator makes, renames and drops databases, and looks into none.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from pathlib import Path

from slipway import lock, spec
from slipway.data.fingerprint import Fingerprint
from slipway.data.postgresql_access import Access, literal
from slipway.data.postgresql_session import EXTENSIONS, Session, opened
from slipway.errors import SlipwayError

_FREE = "select public.slipway_free();"
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


def _ended(*names: str) -> str:
    """Ends the sessions in databases; whoever has no user looks after the server, and goes by itself."""
    found = ", ".join(map(literal, names))
    return (
        "select pg_terminate_backend(pid) from pg_stat_activity "  # noqa: S608
        f"where datname in ({found}) and usename is not null and pid <> pg_backend_pid();"
    )


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
        self._owner = app if self.apart else database.user
        self._to = Access(app, database, credentials or {})

    def alone(self, name: str, wait: float) -> AbstractContextManager[None]:
        """Have one of its databases to this host, while a block runs; see `Access.alone`."""
        return self._to.alone(name, wait)

    # -- what is there

    def names(self, like: str) -> list[str]:
        """The databases whose name begins so, sorted."""
        sql = f"select datname from pg_database where starts_with(datname, {literal(like)}) order by 1;"  # noqa: S608
        return self._to.look(sql, "Looking which databases there are")

    def exists(self, name: str) -> bool:
        return name in self.names(name)

    def size(self) -> int:
        """Bytes that the app's database takes; none where it is not there."""
        sql = "select coalesce(sum(pg_database_size(oid)), 0) from pg_database where datname = "
        return int(self._to.look(f"{sql}{literal(self.name)};", "Measuring the database")[0])

    def directory(self) -> Path:
        """Where its files are, on this host."""
        return Path(self._to.administer("show data_directory;", "Asking for the data directory")[0])

    def free(self) -> int:
        """Bytes that are free on its disk, on another host; the role `postgresql` has made what tells it."""
        return int(self._to.administer(_FREE, "Asking how much room there is")[0])

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
            place = self._to.as_app(self.name)
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
                **self._to.as_app(self.name).arguments(),
            )
        if done.returncode:
            raise SlipwayError(
                f"The dump of the database {self.name} is not whole.", log=done.stderr.splitlines()[-12:]
            )

    # -- into it

    def create(self, name: str) -> None:
        """Make an empty database for the app, of the same form as the one it has."""
        found = self._to.administer(_FORM.format(name=literal(self.name)), "Looking at the database")
        encoding, collate, ctype = json.loads(found[0]) if found else ("UTF8", "", "")
        form = f"template template0 encoding {literal(encoding)}"
        if collate:
            form += f" lc_collate {literal(collate)} lc_ctype {literal(ctype)}"
        # Nobody connects to a database of ours who is not let in.
        self._to.administer(
            f"create database {quoted(name)} owner {quoted(self._owner)} {form};\n"
            f"revoke all on database {quoted(name)} from public;",
            f"Making the database {name}",
        )

    def restore(self, dump: Path, name: str, extensions: Sequence[str]) -> None:
        """Fill an empty database from a dump.

        Raises:
            SlipwayError: any of it failed; with PostgreSQL's own words.
        """
        self._extend(name, extensions)
        place = self._to.as_app(name)
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
        self._to.ask("analyze;", place, "Gathering statistics")

    def _extend(self, name: str, extensions: Sequence[str]) -> None:
        allowed = self._allowed()
        for extension in extensions:
            sql = f"create extension if not exists {quoted(extension)};"
            # What the administrator has not agreed to is for the app to try.
            place = self._to.as_administrator(name) if extension in allowed else self._to.as_app(name)
            try:
                self._to.ask(sql, place, f"Making the extension {extension} (apps.{self.app}.postgresql.extensions)")
            except SlipwayError as error:
                if self.apart and "permission denied to create extension" in str(error):
                    error.hint = (
                        f"It is for postgres alone, and nobody from here is postgres on {self.apart}. Add the line "
                        f"trusted = true to {extension}.control there, in the directory extension below what "
                        "pg_config --sharedir prints: whoever owns a database of that server may have it then."
                    )
                raise

    def _allowed(self) -> set[str]:
        """The extensions that the database has already: on this host, its administrator may make them once more."""
        if self.apart or not self.exists(self.name):
            return set()
        return set(json.loads(self._to.ask(EXTENSIONS, self._to.as_app(self.name), "Looking at the extensions")[0]))

    # -- in its place

    def swap(self, new: str, old: str) -> None:
        """Let `new` take the place of the app's database, which is `old` from then on; both at once or neither."""
        self._rename_over(self.name, to=old, by=new)

    def _rename_over(self, live: str, *, to: str, by: str) -> None:
        what = f"Renaming the database {by} to {live}"
        first = f"alter database {quoted(live)} rename to {quoted(to)};" if self.exists(live) else ""
        rename = f"begin; {first} alter database {quoted(by)} rename to {quoted(live)}; commit;"
        self._to.administer(_ended(live, by), what)
        with ThreadPoolExecutor(1) as beside:
            renaming = beside.submit(self._to.administer, rename, what)
            # The app of another host comes back at once. Who came before the rename had its lock goes too, or it would
            # fail; who comes after that waits until it is done.
            while not wait([renaming], 0.2).done:
                self._to.administer(_ended(live, by), what)
            renaming.result()

    def swap_back(self, old: str, new: str) -> None:
        """Undo a `swap`; what was restored is `new` again."""
        self._rename_over(self.name, to=new, by=old)

    def drop(self, name: str) -> None:
        """Drop one of our own databases beside the app's, where it is there; never the app's."""
        if name == self.name:
            raise SlipwayError(f"{name} is the database of {self.app} itself, which is not dropped.")
        sql = f"{_ended(name)}\ndrop database if exists {quoted(name)};"
        self._to.administer(sql, f"Dropping the database {name}")

    # -- one connection

    def _session(self, name: str) -> AbstractContextManager[Session]:
        return opened(self._to.as_app(name), name)


def _kept() -> dict[str, tuple[int, ...]]:
    """The app's lock stays as long as what this program has started."""
    return {"pass_fds": tuple(lock.held_by)}
