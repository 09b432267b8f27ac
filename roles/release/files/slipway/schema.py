"""Whether an older release still fits the database.

A rollback brings back code and settings but not the database. Code that meets a database which has been migrated past
it fails in ways that no health check sees, so the two are compared first.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from slipway import process
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
        at = both.submit(_revisions, layout, serving, target.migrations.current, "migrations.current")
        meant = both.submit(_revisions, layout, release, target.migrations.heads, "migrations.heads")
    current, heads = at.result(), meant.result()
    if current != heads:
        raise SlipwayError(
            f"The database is at migration {_names(current)}, and release {release} was written for {_names(heads)}.",
            hint="Two ways out: deploy forward, with a migration that undoes the change; or restore the dump that was "
            f"taken then and roll back with force. Nothing was changed; release {serving} is still serving.",
        )


def _revisions(layout: Layout, release: str, command: str, name: str) -> set[str]:
    lines = process.run(layout.app, layout.release(release), command, timeout=_TIMEOUT, name=name)
    return {match[1] for line in lines if (match := _REVISION.match(line.strip()))}


def _names(revisions: set[str]) -> str:
    return ", ".join(sorted(revisions)) or "none"
