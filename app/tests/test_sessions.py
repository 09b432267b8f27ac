"""A key can be replaced without anyone being logged out."""

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
