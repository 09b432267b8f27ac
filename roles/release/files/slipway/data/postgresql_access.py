"""The ways to the server that an app's database is on: as the app, and as whoever makes, renames and drops databases.

On this host that is `postgres`. On another one it is a login for whoever restores, which may do that with the databases
of this app and of no other.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from slipway import process, spec
from slipway.data import config, credentials
from slipway.data.postgresql_session import connected
from slipway.errors import BUSY, SlipwayError

_SOCKET = "/run/postgresql"
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
# A host that lost its power says no farewell, and the server is to notice before that host is back.
_LOCK = """
set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;
set lock_timeout = '{wait:.0f}s';
select 1 from pg_advisory_lock(hashtextextended({name}, 0));
"""
_HOLDER = """
select distinct host(client_addr) from pg_stat_activity join pg_locks using (pid)
where locktype = 'advisory' and granted and application_name = {name} and client_addr is not null;
"""
_NOT_LET_IN = re.compile(r"authentication failed|no pg_hba.conf entry")
_NOT_THERE = re.compile(r'database ".*" does not exist')


def literal(text: str) -> str:
    """A text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"


class Access:
    """How to ask a server.

    Args:
        app: the app, whose user logs in by its own name.
        database: what the app's spec says of it.
        credentials: what the app logs in with on another host; on this one its user is enough.
    """

    def __init__(self, app: str, database: spec.Database, credentials: Mapping[str, str]) -> None:
        self._app = app
        self._database = database
        self._credentials = dict(credentials)

    def _place(self, user: str, role: str, database: str, **more: str) -> process.Place:
        variables = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PGHOST": self._database.host or os.environ.get("SLIPWAY_PGHOST", _SOCKET),
            "PGPORT": str(self._database.port),
            "PGUSER": role,
            "PGDATABASE": database,
            "PGCONNECT_TIMEOUT": "20",
            "PGOPTIONS": " ".join(f"-c {key}={value}" for key, value in _SETTINGS.items()),
            **more,
        }
        return process.Place(user, Path("/"), variables)

    def as_app(self, database: str) -> process.Place:
        return self._place(self._app, self._database.user, database, **self._credentials)

    def as_administrator(self, database: str = _ADMIN) -> process.Place:
        if not self._database.host:
            return self._place(_ADMIN, _ADMIN, database)
        # As root: the app's user could read what is in the environment of its processes.
        known = {"PGSSLMODE": "verify-full", **self._credentials}
        known |= credentials.of_restorer(self._app, Path(config.load().password_file))
        return self._place("root", known.pop("PGUSER"), database, **known)

    # -- questions

    def ask(self, sql: str, place: process.Place, what: str) -> list[str]:
        """The lines that a query gives.

        Raises:
            SlipwayError: it failed; with PostgreSQL's own words.
        """
        done: subprocess.CompletedProcess[str] = subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"],
            input=sql,
            capture_output=True,
            text=True,
            **place.arguments(),
        )
        if done.returncode:
            raise self._refused(f"{what} failed.", done.stderr.splitlines()[-12:])
        return done.stdout.splitlines()

    def administer(self, sql: str, what: str) -> list[str]:
        return self.ask(sql, self.as_administrator(), what)

    def look(self, sql: str, what: str) -> list[str]:
        """Ask what anybody may know, by way of the app where its database is apart: a backup takes nobody else."""
        if self._database.host:
            try:
                return self.ask(sql, self.as_app(self._database.name), what)
            except SlipwayError as error:
                if not _NOT_THERE.search("\n".join(error.log)):
                    raise
        return self.administer(sql, what)

    def _refused(self, why: str, said: list[str]) -> SlipwayError:
        hint = ""
        if self._database.host and _NOT_LET_IN.search("\n".join(said)):
            hint = f"Run the whole site.yml once, on {self._database.host} too: it makes the logins there."
        return SlipwayError(why, hint=hint, log=said)

    # -- alone

    @contextmanager
    def alone(self, name: str, wait: float) -> Iterator[None]:
        """Keep the other hosts of an app from a database while the block runs; on this one, locks of files do.

        Args:
            name: the database, which may not be there yet.
            wait: seconds to wait for another host.

        Raises:
            SlipwayError: with code BUSY, saying which one has it.
        """
        if not self._database.host:
            yield
            return
        place = self.as_administrator()
        place.environment["PGAPPNAME"] = f"slipway {name}"
        with connected(place, _ADMIN) as session:
            try:
                session.one(_LOCK.format(name=literal(name), wait=max(wait, 1)))
            except SlipwayError as error:
                if "lock timeout" not in str(error):
                    raise self._refused(error.message, error.log) from None
                holder = self.administer(_HOLDER.format(name=literal(f"slipway {name}")), "Asking who has it")
                raise SlipwayError(
                    f"Another host of {self._app} ({', '.join(holder) or 'unknown'}) is trying or restoring a backup "
                    f"in the database {name} on {self._database.host}.",
                    hint=f"Waited {wait:g} s for it; nothing was changed. Try again when it has ended.",
                    code=BUSY,
                ) from None
            yield
