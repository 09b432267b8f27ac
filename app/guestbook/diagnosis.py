"""What is wrong with a database, roughly, in words that anyone may read.

A driver's own message may name hosts and users: that is for the log.
"""

import re

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_TOO_MANY = "too many connections"
_FULL = "its disk is full"
_READ_ONLY = "it takes no writes"
_MIGRATE = "a table is missing: has 'flask db upgrade' run?"
# What PostgreSQL calls them: the appendix "Error Codes" of its manual.
_STATES = {"53300": _TOO_MANY, "53100": _FULL, "25006": _READ_ONLY, "42P01": _MIGRATE}
# A refused connection has no code, only a text; SQLite has one code for many things.
_TEXTS = {
    r"too many (clients|connections)|remaining connection slots": _TOO_MANY,
    r"No space left on device|database or disk is full": _FULL,
    r"readonly database": _READ_ONLY,
    r"no such table": _MIGRATE,
    r"is (starting up|shutting down|not yet accepting connections|in recovery mode)": "it is starting or stopping",
}


def reason(error: SQLAlchemyError, *, otherwise: str) -> str:
    """Return what stands behind an error, or ``otherwise`` where it is nothing known."""
    if isinstance(error, PoolTimeoutError):
        return "all connections of this process are busy"
    original = error.orig if isinstance(error, DBAPIError) else None
    known = _STATES.get(getattr(original, "sqlstate", None) or "")
    return known or next((words for pattern, words in _TEXTS.items() if re.search(pattern, str(original))), otherwise)


def refuse_unwritable(connection: Connection) -> str | None:
    """Say why a database that can be read cannot be written to; None where it can.

    Raises SQLAlchemyError where it says so itself: see ``reason``.
    """
    if connection.dialect.name != "postgresql":
        return None
    if connection.scalar(text("SELECT current_setting('transaction_read_only')")) == "on":
        return _READ_ONLY
    # A sort that does not fit into memory: a file comes and goes, and nothing stays behind.
    connection.execute(text("SET LOCAL work_mem = '64kB'"))
    connection.execute(text("SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY md5(n::text)) AS r "
                            "FROM generate_series(1, 2000) AS n) AS sorted"))  # fmt: skip
    return None
