"""A key can be replaced without anyone being logged out."""

import re
from collections.abc import Callable

import pytest
from conftest import GOOD_KEY
from flask import Flask, session

OLD, NEW = GOOD_KEY, GOOD_KEY[::-1]


def visit(app: Flask, cookie: str | None) -> tuple[str, str | None]:
    """Return what the session held, and the cookie that was set."""

    @app.get("/visit")
    def remember() -> str:
        before = session.get("who", "nobody")
        session["who"] = "ada"
        return str(before)

    client = app.test_client(use_cookies=False)
    answer = client.get("/visit", headers={"Cookie": f"session={cookie}"} if cookie else {})
    set_cookie = answer.headers.get("Set-Cookie")
    return answer.text, set_cookie and set_cookie.partition("=")[2].partition(";")[0]


@pytest.mark.parametrize(
    ("fallbacks", "who"), [([OLD], "ada"), (["x" + OLD, OLD], "ada"), ([], "nobody"), (["x" + OLD], "nobody")]
)
def test_a_session_signed_with_an_older_key(make_app: Callable[..., Flask], fallbacks: list[str], who: str) -> None:
    _, cookie = visit(make_app(SECRET_KEY=OLD), None)
    assert visit(make_app(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=fallbacks), cookie)[0] == who


def test_new_sessions_are_signed_with_the_new_key(make_app: Callable[..., Flask]) -> None:
    _, cookie = visit(make_app(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD]), None)
    assert visit(make_app(SECRET_KEY=NEW), cookie)[0] == "ada"
    assert visit(make_app(SECRET_KEY=OLD), cookie)[0] == "nobody"


@pytest.mark.parametrize(("fallbacks", "status"), [([OLD], 303), (["x" + OLD, OLD], 303), ([], 400)])
def test_a_form_opened_before_the_key_was_replaced(
    make_app: Callable[..., Flask], fallbacks: list[str], status: int
) -> None:
    before = make_app(SECRET_KEY=OLD, WTF_CSRF_ENABLED=True).test_client()
    page = before.get("/").text
    found = re.search(r'name="csrf_token" type="hidden" value="([^"]+)"', page)
    assert found
    cookie = before.get_cookie("session")
    assert cookie
    app = make_app(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=fallbacks, WTF_CSRF_ENABLED=True)
    after = app.test_client()
    after.set_cookie("session", cookie.value)
    answer = after.post("/", data={"name": "Ada", "message": "Hello", "csrf_token": found[1]})
    assert answer.status_code == status
