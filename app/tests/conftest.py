"""Apps for the tests, untouched by the machine that runs them."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from flask.testing import FlaskClient
from guestbook import create_app, settings
from guestbook.database import db

GOOD_KEY = "5f1c0a7be93d4826b1cf60d2e87a4935c0de12f9"


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the developer's variables and .env, and undo what a test sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "PROJECT", tmp_path)
    with mock.patch.dict(os.environ):
        for name in list(os.environ):
            if name.startswith("FLASK_") or name in {"APP_SETTINGS", "RELEASE_ID"}:
                del os.environ[name]
        yield


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Return create_app with a database file of its own, made ready."""
    made: list[Flask] = []

    def make(name: str = "testing", **overrides: Any) -> Flask:  # noqa: ANN401  # any setting
        overrides.setdefault("SQLALCHEMY_DATABASE_URI", f"sqlite:///{tmp_path / 'test.db'}")
        if name == "production":
            overrides.setdefault("SECRET_KEY", GOOD_KEY)
        app = create_app(name, overrides)
        made.append(app)
        with app.app_context():
            db.create_all()
        return app

    yield make
    for app in made:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def form_token() -> Callable[[FlaskClient], str]:
    """Return what fetches the page as a visitor does and takes the form's token from it."""

    def fetch(client: FlaskClient) -> str:
        found = re.search(r'name="csrf_token" type="hidden" value="([^"]+)"', client.get("/").text)
        assert found
        return found[1]

    return fetch
