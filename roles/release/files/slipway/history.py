"""The app's journal: one JSON line an attempt, and what follows from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from slipway import build, durable
from slipway.errors import BAD_REQUEST, SlipwayError
from slipway.layout import Layout

FAILED_MARK = "failed.json"


def write(layout: Layout, **entry: Any) -> None:
    """Append one attempt. Never pass a secret: the journal is for reading."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    durable.append_line(layout.journal, json.dumps({"at": at, **entry}, sort_keys=True))


def read(layout: Layout) -> list[dict[str, Any]]:
    """All attempts, oldest first; a last line that a power cut tore is left out."""
    entries = []
    try:
        lines = layout.journal.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def mark_failed(layout: Layout, release: str, reason: str) -> None:
    """Remember that a release did not pass, so that no rollback goes to it."""
    if build.is_complete(layout, release):
        mark = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "reason": reason}
        durable.write_file(layout.release(release) / FAILED_MARK, json.dumps(mark).encode() + b"\n")


def clear_failed(layout: Layout, release: str) -> None:
    (layout.release(release) / FAILED_MARK).unlink(missing_ok=True)


def is_failed(layout: Layout, release: str) -> bool:
    return (layout.release(release) / FAILED_MARK).is_file()


def deployed(layout: Layout) -> list[str]:
    """The good releases that are on disk, in the order in which they were last deployed, oldest first."""
    order: dict[str, None] = {}
    for entry in read(layout):
        if entry.get("action") == "deploy" and entry.get("result") == "ok":
            release = str(entry["release"])
            order.pop(release, None)
            order[release] = None
    return [release for release in order if build.is_complete(layout, release) and not is_failed(layout, release)]


def previous(layout: Layout) -> str | None:
    """The release that a rollback without a name goes to, or None.

    A deploy stands on what it replaced, and a rollback, or a restore, takes away what stood on its target: rolling
    back twice goes back twice, and what somebody rolled back from is not gone back to, whatever is deployed later.
    """
    line: list[str] = []
    for entry in read(layout):
        release = entry.get("release")
        if entry.get("result") == "ok" and isinstance(release, str):
            if entry.get("action") in {"rollback", "restore"} and release in line:
                del line[line.index(release) + 1 :]
            else:
                line = [*(other for other in line if other != release), release]
    current = layout.current_id()
    if current in line:
        del line[line.index(current) :]
    good = [release for release in line if build.is_complete(layout, release) and not is_failed(layout, release)]
    return good[-1] if good else None


def rollback_target(layout: Layout, wanted: str | None, *, force: bool) -> str:
    """Which release to roll back to.

    Raises:
        SlipwayError: there is none, or the wanted one is unknown or marked as failed.
    """
    if wanted is None:
        target = previous(layout)
        if target is None:
            raise SlipwayError(
                f"{layout.app} has no earlier good release to roll back to.",
                hint=f"See what there is: slipway releases {layout.app}",
            )
        return target
    build.record(layout, wanted)
    if is_failed(layout, wanted) and not force:
        raise SlipwayError(
            f"Release {wanted} failed when it was deployed and was never good.",
            hint=f"Choose another (slipway releases {layout.app}), deploy it again, or insist with force.",
            code=BAD_REQUEST,
        )
    return wanted
