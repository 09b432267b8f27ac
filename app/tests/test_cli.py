"""flask config shows what is in effect and hides what is secret."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from guestbook.masking import HIDDEN, masked

APP = Path(__file__).resolve().parent.parent


def test_config_shows_values_and_sources(make_app: Callable[..., Flask]) -> None:
    app = make_app(
        SECRET_KEY="hunter2-key",
        SECRET_KEY_FALLBACKS=["hunter2-old"],
        API_TOKEN="hunter2-token",
        NOINDEX=True,
        BROKER="redis://:hunter2@cache/0",
        MAIL={"HOST": "mail.example.com", "PASSWORD": "hunter2-mail"},
    )
    output = app.test_cli_runner().invoke(args=["config"]).output
    assert "NOINDEX = True  # create_app" in output
    assert "LOG_LEVEL = 'INFO'  # class Config" in output
    assert "TESTING = True  # class Testing" in output
    assert "mail.example.com" in output
    assert "hunter2" not in output


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("SECRET_KEY", "x", HIDDEN),
        ("SECRET_KEY", None, None),
        ("aws_access_key", "x", HIDDEN),
        ("CLIENT_SECRET", "x", HIDDEN),
        ("DB_PASS", "x", HIDDEN),
        ("PIN_TOKEN", 1234, HIDDEN),
        ("WTF_CSRF_TIME_LIMIT", 60, 60),
        ("URL", "postgresql://bob:p@ss/w:rd@db/x", f"postgresql://bob:{HIDDEN}@db/x"),
        ("URL", "https://t0ken@git.example.com", f"https://{HIDDEN}@git.example.com"),
        ("URL", "postgresql:///x?password=p&host=h", f"postgresql:///x?password={HIDDEN}&host=h"),
        ("URL", "sqlite:///guestbook.db", "sqlite:///guestbook.db"),
        ("URLS", ["amqp://a:b@c"], [f"amqp://a:{HIDDEN}@c"]),
    ],
)
def test_masking(name: str, value: object, shown: object) -> None:
    assert masked(name, value) == shown


def test_the_command_prints_a_refusal_without_a_traceback() -> None:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "config"]
    result = subprocess.run(  # noqa: S603  # our own command
        command, cwd=APP, env={"FLASK_SKIP_DOTENV": "1"}, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "SECRET_KEY is missing" in result.stderr
    assert "Traceback" not in result.stderr
