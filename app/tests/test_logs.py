"""One JSON object a line, tied together by the request id."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_request_is_one_line(make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]) -> None:
    client = make_app(TRUSTED_PROXIES=1).test_client()
    client.get("/?token=hunter2", headers={"X-Request-ID": "abc-123", "X-Forwarded-For": "203.0.113.9"})
    (line,) = lines(capsys.readouterr().out)
    assert line.pop("time").endswith("+00:00")
    assert line.pop("duration_ms") >= 0
    assert line == {
        "level": "INFO",
        "logger": "guestbook.request",
        "message": "GET / 200",
        "request_id": "abc-123",
        "method": "GET",
        "path": "/",
        "status": 200,
        "remote_addr": "203.0.113.9",
    }


def test_what_the_app_logs_carries_the_id_and_the_exception(
    make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app()

    @app.get("/log")
    def log() -> str:
        try:
            int("why")
        except ValueError:
            logging.getLogger("elsewhere").exception('two\nlines "quoted" %s', "\u2028ö")
        return "done"

    answer = app.test_client().get("/log")
    first, second = lines(capsys.readouterr().out)
    assert first["message"] == 'two\nlines "quoted" \u2028ö'
    assert first["level"] == "ERROR"
    assert "ValueError: invalid literal" in first["exception"]
    assert first["request_id"] == second["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b', "../x", "é", "<script>"])
def test_an_odd_request_id_is_replaced(app: Flask, given: str) -> None:
    made = app.test_client().get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert made != given
    assert len(made) == 32


def test_a_sane_request_id_is_kept_and_each_request_has_its_own(app: Flask) -> None:
    client = app.test_client()
    kept = client.get("/healthz", headers={"X-Request-ID": "0f3e.A_b-1"}).headers["X-Request-ID"]
    assert kept == "0f3e.A_b-1"
    assert client.get("/healthz").headers["X-Request-ID"] != client.get("/healthz").headers["X-Request-ID"]


def test_health_checks_do_not_fill_the_log(make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]) -> None:
    make_app().test_client().get("/healthz")
    assert capsys.readouterr().out == ""
    make_app(LOG_LEVEL="DEBUG").test_client().get("/healthz")
    assert "GET /healthz 200" in capsys.readouterr().out


def test_a_second_app_does_not_double_the_lines(
    make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]
) -> None:
    make_app()
    make_app().test_client().get("/")
    assert len(lines(capsys.readouterr().out)) == 1


def test_development_logs_for_people(make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]) -> None:
    make_app("development").test_client().get("/gone")
    assert "INFO guestbook.request: GET /gone 404\n" in capsys.readouterr().out
