"""Old releases and environments, taken away once nothing can need them."""

from __future__ import annotations

import shutil

from slipway import history, units, workers
from slipway.build import is_complete
from slipway.layout import RELEASE_ID, Layout


def prune(layout: Layout, keep: int) -> list[str]:
    """Remove what is neither among the last `keep` good releases, nor serving, nor the one to roll back to.

    Args:
        layout: the app.
        keep: how many good releases stay, the serving one included.

    Returns:
        The ids that were removed, sorted.
    """
    stay = {
        *history.deployed(layout)[-keep:],
        layout.current_id(),
        layout.previous_id(),
        history.previous(layout),
        *units.instances(layout.app),
        *workers.busy_releases(layout),
    }
    removed = []
    for path in layout.releases.iterdir():
        if RELEASE_ID.fullmatch(path.name) and path.name not in stay:
            # The record goes first: a directory without it is not a release, whatever else is left of it.
            (path / "release.json").unlink(missing_ok=True)
            shutil.rmtree(path)
            removed.append(path.name)
    _prune_venvs(layout)
    return sorted(removed)


def _prune_venvs(layout: Layout) -> None:
    used = {(path / "venv").resolve().name for path in layout.releases.iterdir() if is_complete(layout, path.name)}
    for path in layout.venvs.iterdir():
        if path.name not in used:
            shutil.rmtree(path)
