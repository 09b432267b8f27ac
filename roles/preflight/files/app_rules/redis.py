"""What is said of Redis."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app_rules.described import Problems

_MIB = {"M": 1, "G": 1024}
# With less, Redis has no room for what it needs itself.
_LEAST = 8


def memory(key: str, value: str) -> Problems:
    found = re.fullmatch(r"([1-9][0-9]{0,5})([MG])", value)
    if not found:
        yield key, "must be a size such as 64M or 1G"
    elif int(found[1]) * _MIB[found[2]] < _LEAST:
        yield key, f"is too little for Redis; give at least {_LEAST}M"


def together(key: str, app: dict[str, Any]) -> Problems:
    """Options without what they belong to."""
    if app.get("redis_options") and not app.get("redis", False):
        yield f"{key}.redis_options", "belongs to redis, which is not true"


def url(name: str) -> str:
    """Where the Redis of an app is."""
    return f"unix:///run/redis-{name}/redis.sock"


def names(apps: dict[Any, Any]) -> Iterator[str]:
    """Each app whose sockets would be where another one's Redis has its own."""
    for name, app in apps.items():
        if isinstance(app, dict) and app.get("redis") is True and f"redis-{name}" in apps:
            yield f"apps.redis-{name}: /run/redis-{name} belongs to the Redis of {name}; choose another name"
