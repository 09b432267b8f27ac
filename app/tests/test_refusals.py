"""What production does not start with. The key is named, its value never."""

from typing import Any

import pytest
from conftest import GOOD_KEY
from guestbook import create_app
from guestbook.checks import SettingsError


def refusal(name: str = "production", **overrides: Any) -> str:  # noqa: ANN401  # any setting
    with pytest.raises(SettingsError) as refused:
        create_app(name, {"SECRET_KEY": GOOD_KEY, **overrides})
    return str(refused.value)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "SECRET_KEY is missing"),
        ("", "SECRET_KEY is missing"),
        ("5f1c0a7be93d4826b1cf60d2e87a493", "SECRET_KEY is shorter than 32 characters"),
        ("development-only", "SECRET_KEY is shorter"),
        ("change-me-change-me-change-me-change-me", "SECRET_KEY is a placeholder"),
        ("a" * 64, "SECRET_KEY is a placeholder"),
        ("my_super_Secret_Key_for_this_website_2026", "SECRET_KEY is a placeholder"),
        (12345678901234567890123456789012, "SECRET_KEY must be text"),
    ],
)
def test_bad_keys(key: object, said: str) -> None:
    message = refusal(SECRET_KEY=key)
    assert said in message
    assert not key or str(key) not in message


def test_old_keys_must_be_as_good() -> None:
    message = refusal(SECRET_KEY_FALLBACKS=[GOOD_KEY[::-1], "short", 5])
    assert "SECRET_KEY_FALLBACKS, number 1," not in message
    assert "SECRET_KEY_FALLBACKS, number 2, is shorter" in message
    assert "SECRET_KEY_FALLBACKS, number 3, must be text" in message


def test_every_problem_is_said_at_once() -> None:
    message = refusal(SECRET_KEY=None, DEBUG=True, TESTING=True)
    assert "SECRET_KEY is missing" in message
    assert "DEBUG must be off" in message
    assert "TESTING must be off" in message


def test_debug_by_flasks_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert "DEBUG must be off" in refusal()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("hunter2", "is not a database URL"),
        ("", "is not a database URL"),
        ("nosuchdb://bob:hunter2@db/x", "is not a database URL"),
        ("mysql+pymysql://bob:hunter2@db:port/x", "is not a database URL"),
    ],
)
def test_bad_database_urls(url: str, said: str) -> None:
    message = refusal(SQLALCHEMY_DATABASE_URI=url)
    assert f"SQLALCHEMY_DATABASE_URI {said}" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("key", "value"),
    [("LOG_LEVEL", "LOUD"), ("LOG_FORMAT", "xml"), ("TRUSTED_PROXIES", -1), ("ENTRIES_PER_PAGE", 0)],
)
def test_values_out_of_range_are_refused_everywhere(key: str, value: object) -> None:
    assert key in refusal("development", **{key: value})


def test_a_good_configuration_starts_and_is_strict() -> None:
    app = create_app("production", {"SECRET_KEY": GOOD_KEY, "SECRET_KEY_FALLBACKS": [GOOD_KEY[::-1]]})
    assert not app.debug
    assert app.config["SESSION_COOKIE_SECURE"] is True
    assert app.config["SESSION_COOKIE_HTTPONLY"] is True
    assert app.config["TRUSTED_PROXIES"] == 1
