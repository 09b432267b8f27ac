"""Whether an app's database would take a new release: asked before anything is built or changed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from slipway import process
from slipway.errors import SlipwayError
from slipway.spec import Database

# Debian's places.
_PATH = "/usr/bin:/bin"
_SOCKETS = "/run/postgresql"
_DATA = Path("/var/lib/postgresql")
_PATIENCE = 10.0
_LITTLE = 16 << 20
# Somebody writes here, and nothing stays behind.
_ASK = """
SET work_mem = '64kB';
SELECT 'read-only' WHERE current_setting('transaction_read_only') = 'on';
SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY md5(n::text)) AS r FROM generate_series(1, 2000) AS n) AS sorted;
"""
# What it says, and what that means to whoever deploys.
_REASONS = {
    r"No such file or directory|Connection refused|could not translate|timeout expired": (
        "it does not run, or cannot be reached",
        "See why: systemctl status 'postgresql*', and its log below /var/log/postgresql.",
    ),
    r"too many (clients|connections)|remaining connection slots": (
        "it is out of connections",
        "See who has them: SELECT usename, state, query FROM pg_stat_activity; postgresql.connections gives more.",
    ),
    r"No space left on device": ("its disk is full", f"Make room on the disk of {_DATA}."),
    r"is (starting up|shutting down|not yet accepting connections|in recovery mode)": (
        "it is starting or stopping",
        "Try again in a moment.",
    ),
    r"certificate verify failed|SSL error|does not support SSL|does not match host name|root certificate": (
        "the certificate there is not the right one",
        "Run the whole site.yml once, on the database's host too. If that does not help, who answers there?",
    ),
    r"read-only": ("it takes no writes", "Is it a copy of another server, or default_transaction_read_only on?"),
    r"does not exist|no pg_hba.conf entry|[Aa]uthentication failed|no password supplied|is not permitted to log in": (
        "it does not let the app in",
        "Run the whole site.yml once: it makes the app's role and its database.",
    ),
}


def check(app: str, database: Database, credentials: Mapping[str, str] | None = None) -> None:
    """Ask the app's database as the app's own user.

    Args:
        app: whose user asks.
        database: which one. Files are always there.
        credentials: what it logs in with on another host, from credentials.py; on this one its user is enough.

    Raises:
        SlipwayError: it cannot be reached, is out of connections, takes no writes or has no room.
    """
    if database.kind != "postgresql":
        return
    code, said = _ask(app, database, credentials or {})
    if code == 0 and "read-only" not in said:
        return
    last = [line.strip() for line in said.splitlines() if line.strip()][-3:] or [f"psql ended with exit code {code}"]
    words, hint = next((told for pattern, told in _REASONS.items() if re.search(pattern, said)), ("it refuses", ""))
    raise SlipwayError(f"The database of {app} cannot be used: {words}.{_room(database)}", hint=hint, log=last)


def _ask(app: str, database: Database, credentials: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of psql, and all that it said."""
    environment = {
        "PATH": _PATH,
        "LC_ALL": "C.UTF-8",
        "PGHOST": database.host or _SOCKETS,
        "PGPORT": str(database.port),
        "PGUSER": database.user,
        "PGDATABASE": database.name,
        "PGCONNECT_TIMEOUT": "5",
        **credentials,
    }
    place = process.Place(app, Path("/"), environment)
    command = ["psql", "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--set=ON_ERROR_STOP=1"]
    try:
        result = subprocess.run(
            [*command, "--file=-"],
            input=_ASK,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            **place.arguments(),
        )
    except FileNotFoundError:
        raise SlipwayError(
            f"The database of {app} cannot be asked: there is no psql on this host.",
            hint="Run the whole site.yml once: it installs PostgreSQL.",
        ) from None
    except subprocess.TimeoutExpired:
        return 1, f"timeout expired: no answer within {_PATIENCE:g} s"
    return result.returncode, result.stdout


def _room(database: Database) -> str:
    """Where the disk has no room for more, that: a server without it may say anything, or not run."""
    if database.host or not _DATA.is_dir():
        return ""
    found = os.statvfs(_DATA)
    left = found.f_bavail * found.f_frsize
    return f" Its disk is full: {left >> 20} MiB are left in {_DATA}." if left < _LITTLE else ""
