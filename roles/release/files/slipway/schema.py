"""Whether an older release still fits the database.

A rollback brings back code and settings but not the database. Code that meets a database which has been migrated past
it fails in ways that no health check sees, so the two are compared first.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from slipway import history, process
from slipway.errors import SlipwayError
from slipway.layout import Layout
from slipway.spec import Spec

# What Alembic prints: a revision, and in brackets what it says of it. Anything else there is a log line.
_REVISION = re.compile(r"^([0-9A-Za-z_]+)((?: \([^)]*\))*)$")
_TIMEOUT = 60.0


def check(layout: Layout, target: Spec, release: str) -> None:
    """See that the database is where a release expects it to be.

    Raises:
        SlipwayError: it is not, or it cannot be found out; with the ways out.
    """
    serving = layout.current_id()
    if target.migrations is None or serving is None:
        return
    # Each takes as long as the app takes to boot, and neither minds the other.
    with ThreadPoolExecutor() as both:
        # The older code may not know the newer revision, so the code that serves is asked where the database is.
        at = both.submit(revisions, layout, serving, target.migrations.current, "migrations.current")
        meant = both.submit(revisions, layout, release, target.migrations.heads, "migrations.heads")
    current, heads = at.result(), meant.result()
    if current != heads:
        raise SlipwayError(
            f"The database is at migration {_names(current)}, and release {release} was written for {_names(heads)}.",
            hint="Two ways out: deploy forward, with a migration that undoes the change; or go back with the data as "
            f"it was then{_way_back(layout, release)}. Nothing was changed; release {serving} is still serving.",
        )


def revisions(layout: Layout, release: str, command: str, name: str) -> set[str]:
    """The revisions that a release's command prints."""
    lines = process.run(layout.app, layout.release(release), command, timeout=_TIMEOUT, name=name)
    return {match[1] for line in lines if (match := _REVISION.match(line.strip()))}


def _way_back(layout: Layout, release: str) -> str:
    """The command that restores what the data was when another release replaced this one."""
    taken = [
        str(entry["backup"])
        for entry in history.read(layout)
        if entry.get("action") == "deploy" and entry.get("previous") == release and entry.get("backup")
    ]
    if not taken:
        return ", if there is a backup of it"
    if taken[-1].startswith("/"):
        return f": stop the app, put the copies in {taken[-1]} in their places, and roll back with force"
    return f": slipway restore {layout.app} --backup {taken[-1]} --release {release}"


def _names(revisions: set[str]) -> str:
    return ", ".join(sorted(revisions)) or "none"
