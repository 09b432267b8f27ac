"""Liveness without the database, readiness with it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from guestbook.database import db


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
