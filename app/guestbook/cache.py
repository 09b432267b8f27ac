"""Pages kept in Redis for a short while, where REDIS_URL names one.

Without it, and while Redis does not answer, every page is made anew: slower, and right all the same.
"""

import secrets
from collections.abc import Callable

import redis
from flask import Flask, current_app
from redis.backoff import NoBackoff
from redis.retry import Retry

# Also how long a page can be out of date, if Redis was away when an entry was written.
SECONDS = 60
# A visitor waits no longer than this for something that is only to save time.
PATIENCE = 0.25
_NAME = "guestbook.cache"


def init_app(app: Flask) -> None:
    """Prepare the connections; none is opened before it is needed."""
    app.extensions[_NAME] = connect(url) if (url := app.config["REDIS_URL"]) else None


def connect(url: str) -> redis.Redis:
    """Return a client for ``url``.

    Raises ValueError where that is no address of a Redis.
    """
    # Once more, at once: after a restart of Redis every open connection is a dead one.
    retry = Retry(NoBackoff(), 1)
    return redis.Redis.from_url(url, retry=retry, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)


def remembered(key: str, make: Callable[[], str]) -> str:
    """Return what is kept under ``key`` since the last ``forget``, or make and keep it."""
    client = _client()
    if client is None:
        return make()
    try:
        # What was made before a change is kept under the generation before it, where nobody looks any more.
        place = f"{current_app.config['RELEASE_ID']}:{_generation(client)}:{key}"
        kept = client.get(place)
    except redis.RedisError as error:
        _note(error)
        return make()
    if isinstance(kept, bytes):
        return kept.decode()
    made = make()
    try:
        client.set(place, made, ex=SECONDS)
    except redis.RedisError as error:
        _note(error)
    return made


def forget() -> None:
    """Have every page made anew; to be called after what they show has changed."""
    client = _client()
    if client is not None:
        try:
            client.set(_NAME, secrets.token_hex(8))
        except redis.RedisError as error:
            _note(error)


def problem() -> str | None:
    """Say roughly why nothing can be kept; None where it can, or is not meant to be."""
    client = _client()
    if client is not None:
        try:
            client.ping()
        except redis.RedisError as error:
            _note(error)
            return "cannot connect"
    return None


def used() -> bool:
    """Whether there is meant to be a cache."""
    return _client() is not None


def _client() -> redis.Redis | None:
    client: redis.Redis | None = current_app.extensions[_NAME]
    return client


def _generation(client: redis.Redis) -> str:
    """Return the name of all that was kept since the last change."""
    found = client.get(_NAME)
    if found is None:
        # New, not the first again: Redis may have dropped it and still keep what was made before a change.
        client.set(_NAME, secrets.token_hex(8), nx=True)
        found = client.get(_NAME)
    return found.decode() if isinstance(found, bytes) else secrets.token_hex(8)


def _note(error: redis.RedisError) -> None:
    current_app.logger.warning("Redis is not used: %s", type(error).__name__)
