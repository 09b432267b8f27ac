"""What is said of databases."""

from __future__ import annotations

import re
from typing import Any

from app_rules.described import Problems

# Names that PostgreSQL has for itself: an app's name is that of its role and of its database.
_TAKEN = {"none", "postgres", "public", "template0", "template1"}
# Beside those that serve: release_command, and somebody who looks, twice.
_MORE = 3
# For whoever looks after the server, for backups and dumps: what the server keeps for superusers, and some.
KEPT = 8
_WHY = "server.processes x server.threads, twice during a deploy, workers, timers, and 3"


def extension(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", value):
        yield key, "must be the name of an extension of PostgreSQL, such as citext"


def connections(app: dict[str, Any]) -> int:
    """How many connections to its database an app may have open at once.

    Args:
        app: what is said of it; defaults may be missing.
    """
    server = app.get("server", {})
    # While a release is switched to, two instances run; each thread has one connection.
    serving = 2 * server.get("processes", 2) * server.get("threads", 4)
    derived = serving + len(app.get("workers", {})) + len(app.get("timers", {})) + _MORE
    return int(app.get("postgresql", {}).get("connections", derived))


def crowded(apps: dict[str, Any], limit: int) -> Problems:
    """More connections than PostgreSQL takes.

    Args:
        apps: those whose database it has, with all that is said of them.
        limit: what it takes.
    """
    wanted = {name: connections(app) for name, app in apps.items()}
    needed = sum(wanted.values()) + KEPT
    if needed <= limit:
        return
    each = ", ".join(f"{count} of {name}" for name, count in wanted.items())
    text = (
        f"is {limit}, and {needed} are needed: {each} ({_WHY}), and {KEPT} for whoever looks after it. Say "
        f"postgresql_max_connections: {needed}, lower server.processes or server.threads of an app, or give an app "
        "fewer with postgresql.connections"
    )
    yield "postgresql_max_connections", text


def together(key: str, app: dict[str, Any]) -> Problems:
    """Of an app whose keys are right by themselves."""
    if app.get("database") != "postgresql":
        if app.get("postgresql"):
            yield f"{key}.postgresql", "belongs to database: postgresql, and database is sqlite"
    elif (name := key.removeprefix("apps.")) in _TAKEN:
        yield key, f"PostgreSQL has a {name} of its own; choose another name"
