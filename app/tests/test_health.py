"""Liveness without the database, readiness with it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from guestbook.database import db
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool


def test_healthz_names_the_release(make_app: Callable[..., Flask]) -> None:
    answer = make_app(RELEASE_ID="3f2a9c1b04d7").test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "release": "3f2a9c1b04d7"})


def test_healthz_asks_no_database(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    monkeypatch.setattr("guestbook.health.db", None)
    assert app.test_client().get("/healthz").status_code == 200


def test_readyz_with_a_working_database(app: Flask) -> None:
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "release": "unreleased", "checks": {"database": "ok"}}


def test_readyz_before_the_first_migration(app: Flask) -> None:
    with app.app_context():
        db.drop_all()
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["status"] == "unavailable"
    assert "flask db upgrade" in answer.json["checks"]["database"]


def test_readyz_with_a_broken_database(
    make_app: Callable[..., Flask], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app()
    with app.app_context():
        db.engine.dispose()
    (tmp_path / "test.db").write_bytes(b"this is no database" * 100)
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"] == {"database": "cannot connect"}
    assert "file is not a database" in capsys.readouterr().out
    assert app.test_client().get("/healthz").status_code == 200


class PostgresError(Exception):
    """What psycopg raises, as far as the app looks at it."""

    def __init__(self, sqlstate: str | None, words: str = "") -> None:
        super().__init__(words)
        self.sqlstate = sqlstate


REFUSED = 'connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: '
PROBLEMS = [
    (None, f"{REFUSED}No such file or directory", "cannot connect"),
    (None, f"{REFUSED}FATAL:  sorry, too many clients already", "too many connections"),
    (None, f'{REFUSED}FATAL:  too many connections for role "shop"', "too many connections"),
    (
        None,
        f"{REFUSED}FATAL:  remaining connection slots are reserved for roles with SUPERUSER",
        "too many connections",
    ),
    (None, f"{REFUSED}FATAL:  the database system is starting up", "it is starting or stopping"),
    ("53300", "", "too many connections"),
    ("53100", 'could not extend file "base/1/2": No space left on device', "its disk is full"),
    ("25006", "cannot execute INSERT in a read-only transaction", "it takes no writes"),
    ("42P01", 'relation "entries" does not exist', "a table is missing: has 'flask db upgrade' run?"),
]


@pytest.mark.parametrize(("sqlstate", "words", "told"), PROBLEMS)
def test_readyz_says_roughly_what_is_wrong_with_postgresql(
    app: Flask, monkeypatch: pytest.MonkeyPatch, sqlstate: str | None, words: str, told: str
) -> None:
    def refuse(_engine: Engine) -> None:
        raise OperationalError("", {}, PostgresError(sqlstate, words))

    with app.app_context():
        monkeypatch.setattr(type(db.engine), "connect", refuse)
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"] == {"database": told}
    assert "run/postgresql" not in answer.text


def test_readyz_when_all_connections_are_busy(make_app: Callable[..., Flask]) -> None:
    options = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01}
    app = make_app(SQLALCHEMY_ENGINE_OPTIONS=options)
    with app.app_context(), db.engine.connect():
        answer = app.test_client().get("/readyz")
    assert answer.json["checks"] == {"database": "all connections of this process are busy"}
