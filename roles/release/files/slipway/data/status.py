"""How an app's backups do: one small file an app that anyone may read, written in one step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from slipway import durable
from slipway.data.config import state as place
from slipway.errors import SlipwayError


def read(app: str) -> dict[str, Any]:
    """What is known of an app's backups; nothing where none was ever tried."""
    try:
        return dict(json.loads((place() / "status" / f"{app}.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {"app": app}


def note(app: str, topic: str, about: dict[str, Any]) -> None:
    """Write what happened under a topic, such as `backup` or `drill`. Never pass a secret."""
    directory = place() / "status"
    directory.mkdir(parents=True, exist_ok=True)
    for path in (directory.parent, directory):
        path.chmod(0o755)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    state = {**read(app), "app": app, topic: {"at": at, **about}}
    if about.get("result") == "ok":
        state[f"last_good_{topic}"] = state[topic]
    durable.write_file(directory / f"{app}.json", json.dumps(state, indent=2, sort_keys=True).encode() + b"\n")


@contextmanager
def told(app: str, topic: str) -> Iterator[dict[str, Any]]:
    """Note how an attempt went, whichever way it goes; the block fills in what there is to say of it, if anything."""
    about: dict[str, Any] = {}
    began = time.monotonic()
    try:
        yield about
    except (SlipwayError, OSError) as error:
        reason = error.message if isinstance(error, SlipwayError) else str(error)
        last = error.log[-1:] if isinstance(error, SlipwayError) else []
        about |= {"result": "failed", "reason": " ".join([reason, *last]), "seconds": _since(began)}
        note(app, topic, about)
        raise
    if about:
        note(app, topic, {**about, "result": "ok", "reason": "", "seconds": _since(began)})


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)
