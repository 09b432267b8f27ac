"""Pages kept in Redis: never a stale one, and never in the way when Redis is."""

import fnmatch
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from guestbook import cache
from guestbook.checks import SettingsError
from guestbook.database import db
from guestbook.models import Entry

Token = Callable[[FlaskClient], str]
URL = "unix:///run/redis-test/redis.sock"


class FakeRedis:
    """The few commands that the cache gives; ``error`` is raised by each where it is set."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.error: Exception | None = None
        self.before_set: Callable[[str], None] = lambda _name: None

    def _answer(self) -> None:
        if self.error:
            raise self.error

    def ping(self) -> bool:
        self._answer()
        return True

    def get(self, name: str) -> bytes | None:
        self._answer()
        return self.kept.get(name)

    def set(self, name: str, value: str, *, ex: int | None = None, nx: bool = False) -> None:
        self._answer()
        assert ex is not None or "entries" not in name
        self.before_set(name)
        if not (nx and name in self.kept):
            self.kept[name] = value.encode()

    def pages(self) -> list[str]:
        return fnmatch.filter(self.kept, "*:entries:*")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeRedis:
    fake = FakeRedis()
    monkeypatch.setattr(cache, "connect", lambda _url: fake)
    return fake


@pytest.fixture
def cached(server: FakeRedis, make_app: Callable[..., Flask]) -> Flask:
    assert server.kept == {}
    return make_app(REDIS_URL=URL)


def sign(client: FlaskClient, token: str, name: str) -> int:
    return client.post("/", data={"csrf_token": token, "name": name, "message": "Hello"}).status_code


def behind_its_back(app: Flask, name: str) -> None:
    with app.app_context():
        db.session.add(Entry(name=name, message="Hello"))
        db.session.commit()


def test_a_page_is_made_once(cached: Flask, server: FakeRedis) -> None:
    client = cached.test_client()
    assert "No entries yet" in client.get("/").text
    behind_its_back(cached, "Ada")
    assert "No entries yet" in client.get("/").text
    assert len(server.pages()) == 1


def test_who_signs_finds_the_entry(cached: Flask, form_token: Token) -> None:
    client = cached.test_client()
    assert sign(client, form_token(client), "Ada") == 303
    assert "Ada" in client.get("/").text
    assert sign(client, form_token(client), "Grace") == 303
    assert "Grace" in cached.test_client().get("/").text


def test_a_page_made_before_an_entry_is_not_kept_after_it(cached: Flask, server: FakeRedis, form_token: Token) -> None:
    """The page is made, then somebody signs, then the page is put into Redis."""
    other = cached.test_client()
    token = form_token(other)
    server.kept.clear()

    def meanwhile(name: str) -> None:
        if "entries" in name:
            server.before_set = lambda _name: None
            assert sign(other, token, "Ada") == 303

    server.before_set = meanwhile
    assert "Ada" not in cached.test_client().get("/").text
    assert "Ada" in cached.test_client().get("/").text


def test_what_redis_forgot_does_not_come_back(cached: Flask, server: FakeRedis, form_token: Token) -> None:
    """Short of memory it drops what it likes, the name of the newest pages too, and keeps older pages."""
    client = cached.test_client()
    client.get("/")
    sign(client, form_token(client), "Ada")
    for name in set(server.kept) - set(server.pages()):
        del server.kept[name]
    assert "Ada" in client.get("/").text


def test_releases_do_not_share_pages(server: FakeRedis, make_app: Callable[..., Flask]) -> None:
    for release in ("one", "two"):
        make_app(REDIS_URL=URL, RELEASE_ID=release).test_client().get("/")
    assert len(server.pages()) == 2


def test_a_page_that_is_not_there_is_not_kept(cached: Flask, server: FakeRedis) -> None:
    assert cached.test_client().get("/?page=9").status_code == 404
    assert server.pages() == []


def test_nobody_s_form_is_kept(cached: Flask, server: FakeRedis) -> None:
    cached.test_client().get("/")
    [page] = server.pages()
    assert b"csrf_token" not in server.kept[page]


@pytest.mark.parametrize(
    "error",
    [redis.ConnectionError("no"), redis.TimeoutError("no"), redis.BusyLoadingError("no"), redis.OutOfMemoryError("no")],
)
def test_without_redis_it_works(
    cached: Flask, server: FakeRedis, form_token: Token, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    client = cached.test_client()
    server.error = error
    assert sign(client, form_token(client), "Ada") == 303
    assert "Ada" in client.get("/").text
    assert "Redis is not used" in capsys.readouterr().out


def test_a_redis_that_only_cannot_write(cached: Flask, server: FakeRedis) -> None:
    def full(_name: str) -> None:
        raise redis.OutOfMemoryError("no")

    client = cached.test_client()
    client.get("/")
    server.kept = {name: value for name, value in server.kept.items() if name not in server.pages()}
    server.before_set = full
    assert client.get("/").status_code == 200


def test_readyz_says_that_the_cache_is_away(cached: Flask, server: FakeRedis) -> None:
    client = cached.test_client()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["checks"]) == (200, {"database": "ok", "cache": "ok"})
    server.error = redis.ConnectionError("no")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "degraded")
    assert answer.json["checks"] == {"database": "ok", "cache": "cannot connect"}
    with cached.app_context():
        db.drop_all()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (503, "unavailable")


def test_without_an_address_there_is_no_cache(app: Flask) -> None:
    assert app.test_client().get("/readyz").json["checks"] == {"database": "ok"}


def test_a_socket_that_is_not_there(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    client = make_app(REDIS_URL=f"unix://{tmp_path}/redis.sock").test_client()
    assert client.get("/").status_code == 200
    assert client.get("/readyz").json["checks"]["cache"] == "cannot connect"


@pytest.mark.parametrize("url", ["http://localhost", "run/redis.sock", "redis"])
def test_what_is_no_address_is_refused(make_app: Callable[..., Flask], url: Any) -> None:  # noqa: ANN401
    with pytest.raises(SettingsError, match="REDIS_URL is not the address of a Redis"):
        make_app(REDIS_URL=url)
