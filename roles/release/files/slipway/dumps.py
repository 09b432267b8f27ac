"""What is kept of an app's data before a release command may change it: a backup, or without a repository a copy."""

from __future__ import annotations

import shutil

from slipway import durable
from slipway.data import backup, config
from slipway.layout import Layout
from slipway.spec import Spec


def take(layout: Layout, spec: Spec, release: str) -> tuple[str, list[str]]:
    """Keep the data as it is.

    Args:
        layout: the app, whose lock is held.
        spec: says how many copies to keep.
        release: the release that is about to change the data.

    Returns:
        What to call it, and a line that says where it is; nothing where there is no data.

    Raises:
        SlipwayError: it cannot be kept: a database is damaged, the repository does not answer, a disk is full.
    """
    if config.configured():
        taken = backup.inside(layout, kind="before-release", before=release)
        return (taken["backup"], [f"The data as it was is in backup {taken['backup']}."]) if taken else ("", [])
    with backup.staged(layout, kind="before-release", before=release) as (found, staging):
        if not found.parts:
            return "", []
        target = layout.dumps / f"{found.at:%Y%m%dT%H%M%SZ}-before-{release}"
        layout.dumps.mkdir(mode=0o700, exist_ok=True)
        shutil.copytree(staging, target)
    target.chmod(0o700)
    durable.sync_tree(target)
    for old in sorted(layout.dumps.iterdir())[: -spec.keep]:
        shutil.rmtree(old)
    return str(target), [f"The databases as they were are in {target}."]
