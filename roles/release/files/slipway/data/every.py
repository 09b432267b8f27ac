"""The same work for every app that has something to work on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from slipway.errors import SlipwayError
from slipway.layout import Layout, apps


def every(work: Callable[[str], Iterable[dict[str, Any]]], *, good: str, hint: str) -> list[dict[str, Any]]:
    """Work on each app that has a release, one after the other; a failure of one does not hold up the others.

    Args:
        work: what is done with an app; gives its rows, and counts as done from the first.
        good: what to say before the names of those that it was done with.
        hint: what it means that some failed.

    Raises:
        SlipwayError: some failed; with why.
    """
    rows: list[dict[str, Any]] = []
    problems = []
    for app in apps():
        if Layout(app).current_id() is None:
            continue
        try:
            # Each row at once: one that is there stays, whatever comes after it.
            rows.extend(work(app))
        except (SlipwayError, OSError) as error:
            problems.append(f"{app}: {error}")
    if problems:
        done = f" {good} {', '.join(row['app'] for row in rows)}." if rows else ""
        raise SlipwayError("\n".join(problems), hint=f"{hint}{done}")
    return rows
