"""The database, and what SQLite and PostgreSQL need to be good at serving."""

import sqlite3
from typing import Any

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, event
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry


class Base(DeclarativeBase):
    """Constraints with names, so that a later migration can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)
# SQLite cannot alter most things in place: batch mode copies the table.
migrate = Migrate(render_as_batch=True)


@event.listens_for(Engine, "do_connect")
def _limit_patience(dialect: Dialect, _entry: ConnectionPoolEntry, _args: object, given: dict[str, Any]) -> None:
    if dialect.name == "postgresql":
        # Seconds. A visitor had better read that something is wrong than wait for a server that is gone.
        given.setdefault("connect_timeout", 5)


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: object, _entry: ConnectionPoolEntry) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    # The timeout first: at a deploy the old release and the new one share the file, and the
    # switch to WAL (readers and a writer at once) may have to wait for the other.
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA journal_mode = WAL")


@event.listens_for(Engine, "begin")
def _begin_postgresql(connection: Connection) -> None:
    migrating = connection.get_execution_options().get("migrating", False)
    if connection.dialect.name == "postgresql" and migrating:
        # A migration that waits for a lock has everybody wait who comes after it: it had better fail.
        connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    # Begun by hand, because Python's driver opens no transaction for a change of tables.
    # A migration in batch mode drops the old copy of a table, which must not take the rows
    # that refer to it along. And it reads before it writes: it must lock out the release that
    # is still serving from the start, or SQLite may refuse it in between without waiting.
    migrating = connection.get_execution_options().get("migrating", False)
    connection.exec_driver_sql(f"PRAGMA foreign_keys = {'OFF' if migrating else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if migrating else "BEGIN")
