"""Migrations, and one SQLite file under two releases."""

import sqlite3
import textwrap
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from guestbook import create_app
from guestbook.database import db
from guestbook.models import Entry
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import OperationalError

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


@pytest.fixture
def empty_app(tmp_path: Path) -> Flask:
    return create_app("testing", {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'empty.db'}"})


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_migrations_make_what_the_models_say(empty_app: Flask, tmp_path: Path) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade(MIGRATIONS)
        flask_migrate.check(MIGRATIONS)
        assert tables(tmp_path / "empty.db") == {"entries", "alembic_version"}
        flask_migrate.downgrade(MIGRATIONS)
        assert tables(tmp_path / "empty.db") == {"alembic_version"}
        db.engine.dispose()


def test_check_notices_a_missing_migration(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade(MIGRATIONS)
        with db.engine.begin() as connection:
            connection.execute(text("ALTER TABLE entries DROP COLUMN message"))
        with pytest.raises(SystemExit):
            flask_migrate.check(MIGRATIONS)
        db.engine.dispose()


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Return a folder with our way of running migrations, and none in it."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for name in ("env.py", "alembic.ini", "script.py.mako"):
        (folder / name).write_bytes((MIGRATIONS / name).read_bytes())
    return folder


def add(folder: Path, body: str, number: int = 1) -> None:
    lines = [
        "import sqlite3",
        "from alembic import op",
        f"revision, down_revision = '{number}', {(str(number - 1) if number > 1 else None)!r}",
        "def upgrade():",
        textwrap.indent(textwrap.dedent(body), "    "),
    ]
    (folder / f"versions/{number}_test.py").write_text("\n".join(lines))


def test_a_migration_that_fails_leaves_nothing_behind(empty_app: Flask, migrations: Path, tmp_path: Path) -> None:
    add(migrations, 'op.execute("CREATE TABLE whole (id INTEGER)")')
    add(migrations, 'op.execute("CREATE TABLE half (id INTEGER)")\nop.execute("CREATE TABLE broken (")', 2)
    with empty_app.app_context():
        with pytest.raises(OperationalError):
            flask_migrate.upgrade(migrations)
        assert tables(tmp_path / "empty.db") == set()
        db.engine.dispose()


def test_a_migration_locks_writers_out_from_the_start(empty_app: Flask, migrations: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    body = f"""
        other = sqlite3.connect({str(path)!r}, timeout=0)
        try:
            other.execute("CREATE TABLE elsewhere (id INTEGER)")
        finally:
            other.close()
    """
    add(migrations, body)
    with empty_app.app_context():
        with db.engine.begin() as connection:  # else Alembic's first act is to write
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            flask_migrate.upgrade(migrations)
        db.engine.dispose()


def test_copying_a_table_keeps_the_rows_that_refer_to_it(empty_app: Flask, migrations: Path) -> None:
    add(migrations, 'with op.batch_alter_table("parents", recreate="always") as t: t.drop_column("extra")')
    with empty_app.app_context():
        with db.engine.begin() as connection:
            for statement in (
                "CREATE TABLE parents (id INTEGER PRIMARY KEY, extra TEXT)",
                "CREATE TABLE children (parent_id INTEGER REFERENCES parents ON DELETE CASCADE)",
                "INSERT INTO parents VALUES (1, 'x')",
                "INSERT INTO children VALUES (1)",
            ):
                connection.execute(text(statement))
        flask_migrate.upgrade(migrations)
        assert db.session.execute(text("SELECT count(*) FROM children")).scalar() == 1
        assert db.session.execute(text("PRAGMA foreign_keys")).scalar() == 1
        db.session.remove()
        db.engine.dispose()


def test_sqlite_is_set_up_for_serving(app: Flask) -> None:
    with app.app_context():
        values = {
            name: db.session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "busy_timeout", "foreign_keys")
        }
    assert values == {"journal_mode": "wal", "busy_timeout": 5000, "foreign_keys": 1}


def test_two_releases_write_the_same_file(make_app: Callable[..., Flask]) -> None:
    old, new = make_app(), make_app()
    failures: list[Exception] = []

    def write(app: Flask, name: str) -> None:
        try:
            for number in range(50):
                with app.app_context():
                    db.session.add(Entry(name=name, message=str(number)))
                    db.session.commit()
                    db.session.scalars(select(Entry).limit(5)).all()
        except Exception as error:  # a thread must hand it over
            failures.append(error)

    writers = [threading.Thread(target=write, args=pair) for pair in ((old, "old"), (new, "new"))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    with new.app_context():
        assert len(db.session.scalars(select(Entry)).all()) == 100


def test_a_connection_is_looked_at_before_it_is_used(app: Flask) -> None:
    with app.app_context():
        connection = db.engine.raw_connection()
        broken = connection.driver_connection
        connection.close()
        broken.close()  # as a server does that is restarted
        assert db.session.execute(text("SELECT 1")).scalar() == 1


@pytest.mark.parametrize(
    ("address", "given"), [("postgresql+psycopg://x@/x", {"connect_timeout": 5}), ("sqlite://", {})]
)
def test_nobody_waits_long_for_a_server_that_is_gone(address: str, given: dict[str, object]) -> None:
    arguments: dict[str, object] = {}
    engine = create_engine(address)
    engine.dialect.dispatch.do_connect(engine.dialect, None, [], arguments)
    assert arguments == given
