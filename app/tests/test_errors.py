"""Error pages that look like the rest, and JSON for whoever asks for it."""

from collections.abc import Callable
from typing import NoReturn

import pytest
from flask import Flask, Response, abort
from flask.testing import FlaskClient
from werkzeug.exceptions import NotFound, TooManyRequests

CODES = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 413: "Request Entity Too Large"}
CODES |= {429: "Too Many Requests", 500: "Internal Server Error"}


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> FlaskClient:
    app = make_app(PROPAGATE_EXCEPTIONS=False)

    @app.get("/error/<int:code>")
    def error(code: int) -> NoReturn:
        if code == 429:
            raise TooManyRequests(retry_after=30)
        abort(code)

    @app.get("/crash")
    def crash() -> NoReturn:
        raise RuntimeError("hunter2")

    @app.get("/folder/")
    def folder() -> str:
        return "here"

    return app.test_client()


@pytest.mark.parametrize(("code", "name"), CODES.items())
def test_page(client: FlaskClient, code: int, name: str) -> None:
    answer = client.get(f"/error/{code}")
    assert answer.status_code == code
    assert answer.mimetype == "text/html"
    assert f"<h1>{name}</h1>" in answer.text
    assert answer.headers["X-Request-ID"] in answer.text
    assert "Release <code>" in answer.text
    assert "Content-Security-Policy" in answer.headers
    assert "Accept" in answer.vary


@pytest.mark.parametrize(("code", "name"), CODES.items())
@pytest.mark.parametrize("accept", ["application/json", "application/json, text/plain, */*"])
def test_json(client: FlaskClient, code: int, name: str, accept: str) -> None:
    answer = client.get(f"/error/{code}", headers={"Accept": accept})
    assert answer.status_code == code
    error = answer.json["error"]
    assert (error["status"], error["name"]) == (code, name)
    assert error["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("accept", ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8", ""])
def test_browsers_and_curl_get_the_page(client: FlaskClient, accept: str) -> None:
    assert client.get("/gone", headers={"Accept": accept}).mimetype == "text/html"


def test_a_crash_is_logged_and_not_shown(capsys: pytest.CaptureFixture[str], client: FlaskClient) -> None:
    answer = client.get("/crash")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "hunter2" in capsys.readouterr().out


def test_what_the_error_itself_says_in_headers_stays(client: FlaskClient) -> None:
    assert client.get("/error/429").headers["Retry-After"] == "30"
    assert "GET" in client.put("/").headers["Allow"]


def test_an_answer_given_to_abort_is_left_alone(make_app: Callable[..., Flask]) -> None:
    app = make_app()

    @app.get("/own")
    def own() -> NoReturn:
        raise NotFound(response=Response("mine", 404))

    assert app.test_client().get("/own").text == "mine"


def test_redirects_are_no_errors(client: FlaskClient) -> None:
    assert client.get("/folder").status_code == 308


def test_a_body_too_large(make_app: Callable[..., Flask]) -> None:
    client = make_app(MAX_CONTENT_LENGTH=100).test_client()
    answer = client.post("/", data={"message": "x" * 200})
    assert answer.status_code == 413
    assert "<h1>Request Entity Too Large</h1>" in answer.text
