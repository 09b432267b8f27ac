"""A visitor reads and signs the guestbook."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from guestbook.database import db
from guestbook.models import Entry
from sqlalchemy import func, select

Token = Callable[[FlaskClient], str]


def count(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count(Entry.id))) or 0


def sign(client: FlaskClient, token: str, name: str = "Ada", message: str = "Hello") -> int:
    data = {"csrf_token": token, "name": name, "message": message}
    return client.post("/", data=data).status_code


def test_the_footer_names_the_release(make_app: Callable[..., Flask]) -> None:
    assert "<code>3f2a9c1b04d7</code>" in make_app(RELEASE_ID="3f2a9c1b04d7").test_client().get("/").text


def test_signing(app: Flask, client: FlaskClient, form_token: Token) -> None:
    data = {"csrf_token": form_token(client), "name": " Ada ", "message": "<b>hi</b>\nthere"}
    answer = client.post("/", data=data)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    page = client.get("/").text
    assert "Thank you" in page
    assert "1 entry" in page
    assert '<span class="name">Ada</span>' in page
    assert "&lt;b&gt;hi&lt;/b&gt;" in page
    assert count(app) == 1


@pytest.mark.parametrize("token", [None, "", "forged"])
def test_a_forged_form_is_refused(app: Flask, client: FlaskClient, form_token: Token, token: str) -> None:
    form_token(client)
    answer = client.post("/", data={"csrf_token": token, "name": "Eve", "message": "x"})
    assert answer.status_code == 400
    assert "Bad Request" in answer.text
    assert count(app) == 0


def test_another_visitors_token_is_refused(app: Flask, form_token: Token) -> None:
    assert sign(app.test_client(), form_token(app.test_client())) == 400
    assert count(app) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "x"), ("  ", "x"), ("x", ""), ("x" * 81, "x"), ("x", "x" * 1001), ("a\0b", "x"), ("x", "\x1b[2J")],
)
def test_bad_input_is_shown_again(app: Flask, client: FlaskClient, form_token: Token, name: str, message: str) -> None:
    assert sign(client, form_token(client), name, message) == 422
    assert count(app) == 0


def test_older_entries_are_a_page_away(make_app: Callable[..., Flask], form_token: Token) -> None:
    client = make_app(ENTRIES_PER_PAGE=2).test_client()
    for number in range(3):
        assert sign(client, form_token(client), message=f"message {number}") == 303
    assert "message 2" in client.get("/").text
    assert "message 0" not in client.get("/").text
    assert "message 0" in client.get("/?page=2").text
    assert client.get("/?page=3").status_code == 404
    assert client.get(f"/?page={'9' * 30}").status_code == 404


def test_noindex(make_app: Callable[..., Flask]) -> None:
    open_page = make_app().test_client().get("/")
    assert "X-Robots-Tag" not in open_page.headers
    assert "robots" not in open_page.text
    hidden_page = make_app(NOINDEX=True).test_client().get("/")
    assert hidden_page.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert '<meta name="robots" content="noindex, nofollow">' in hidden_page.text


def test_security_headers_and_cookie(make_app: Callable[..., Flask]) -> None:
    answer = make_app("production").test_client().get("/", base_url="https://shop.example.com")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert flag in cookie
    # The policy forbids inline code: nothing in the page may need it.
    assert "style=" not in answer.text
    assert "<script" not in answer.text
