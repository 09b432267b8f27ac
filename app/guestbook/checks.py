"""What the app refuses to start with. Messages name the key and never quote its value."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from guestbook import cache

SHORTEST_KEY = 32
_PLACEHOLDERS = (
    "changeme", "replaceme", "placeholder", "secretkey", "yoursecret", "mysecret", "notsecret",
    "insecure", "developmentonly", "testingonly", "example", "password", "0123456789abcdef",
)  # fmt: skip


# A ClickException, so that the flask command prints the message and not a traceback.
class SettingsError(click.ClickException):
    """Settings that cannot be used: one line a problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("settings refused:\n" + "\n".join(f"  {line}" for line in problems))


def refuse_unsafe(config: Mapping[str, Any], *, production: bool) -> None:
    """Raise SettingsError for everything that is wrong, not only for the first thing."""
    problems = list(_always(config))
    if production:
        problems += _in_production(config)
    if problems:
        raise SettingsError(problems)


def _always(config: Mapping[str, Any]) -> Iterator[str]:
    if config["LOG_LEVEL"] not in logging.getLevelNamesMapping():
        yield "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"
    if config["LOG_FORMAT"] not in ("json", "text"):
        yield "LOG_FORMAT must be json or text"
    if config["TRUSTED_PROXIES"] < 0:
        yield "TRUSTED_PROXIES must not be negative"
    if config["ENTRIES_PER_PAGE"] < 1:
        yield "ENTRIES_PER_PAGE must be at least 1"
    try:
        make_url(config["SQLALCHEMY_DATABASE_URI"]).get_dialect()
    except (ArgumentError, ValueError):
        yield "SQLALCHEMY_DATABASE_URI is not a database URL that SQLAlchemy knows"
    except ImportError:
        yield "SQLALCHEMY_DATABASE_URI needs a database driver that is not installed"
    try:
        cache.connect(config["REDIS_URL"] or "redis://")
    except ValueError:
        yield "REDIS_URL is not the address of a Redis"


def _in_production(config: Mapping[str, Any]) -> Iterator[str]:
    if not config["SECRET_KEY"]:
        yield (
            "SECRET_KEY is missing: in production it comes from the settings file or from "
            "FLASK_SECRET_KEY (on your own machine: cp .env.example .env)"
        )
    else:
        yield from _weaknesses("SECRET_KEY", config["SECRET_KEY"])
    for number, key in enumerate(config["SECRET_KEY_FALLBACKS"] or [], start=1):
        yield from _weaknesses(f"SECRET_KEY_FALLBACKS, number {number},", key)
    for switch in ("DEBUG", "TESTING"):
        if config[switch]:
            yield f"{switch} must be off in production"


def _weaknesses(name: str, key: object) -> Iterator[str]:
    if not isinstance(key, str | bytes):
        yield f"{name} must be text"
        return
    text = key if isinstance(key, str) else key.decode("latin-1")
    letters = "".join(filter(str.isalnum, text.lower()))
    if len(text) < SHORTEST_KEY:
        yield f"{name} is shorter than {SHORTEST_KEY} characters"
    elif len(set(text)) < SHORTEST_KEY // 4 or any(word in letters for word in _PLACEHOLDERS):
        yield f"{name} is a placeholder: make one with python -c 'import secrets; print(secrets.token_hex())'"
