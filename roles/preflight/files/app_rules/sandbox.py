"""What an app may reach and take."""

from __future__ import annotations

import re
from typing import Any

from app_rules import access
from app_rules.described import Problems

_MIB = {"M": 1, "G": 1024}
# Below this no Python server of two processes starts.
_LEAST = 64


def reachable(key: str, value: str) -> Problems:
    if value not in {"any", "localhost"}:
        yield from access.network(key, value, "any, localhost, an address or a network such as 10.0.0.0/8")


def memory(key: str, value: str) -> Problems:
    if not value:
        return
    found = re.fullmatch(r"([1-9][0-9]{0,5})([MG%])", value)
    if not found or (found[2] == "%" and int(found[1]) > 100):
        yield key, "must be a size such as 512M or 2G, or a share of the machine's memory such as 25%"
    elif found[2] in _MIB and int(found[1]) * _MIB[found[2]] < _LEAST:
        yield key, f"is too little for a server to start; give at least {_LEAST}M"


def together(key: str, app: dict[str, Any]) -> Problems:
    """Limits and networks that contradict the rest of what is said of the app."""
    network = app.get("network", ["any"])
    if "any" in network and len(network) > 1:
        yield f"{key}.network", "says any and more; leave any out, or all the others"
    server, tasks = app.get("server", {}), app.get("limits", {}).get("tasks")
    # Each process has a thread of its own beside those that serve, and there is the one that starts them.
    needed = server.get("processes", 2) * (server.get("threads", 3) + 1) + 1
    if tasks is not None and tasks < needed:
        yield f"{key}.limits.tasks", f"the server alone needs {needed}, by server.processes and server.threads"
