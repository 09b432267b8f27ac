"""After a transaction that died: what was switched is finished, what was not is cleared away."""

from __future__ import annotations

import contextlib
import json

from slipway import build, faults, history, serving, units, workers
from slipway.errors import SlipwayError
from slipway.layout import Layout


def recover(layout: Layout) -> None:
    """Put right what a transaction that died has left; call it with the lock held."""
    build.clean(layout)
    if not layout.transaction.exists():
        return
    try:
        intent = json.loads(layout.transaction.read_text())
    except ValueError:
        intent = {}
    current, release, previous = layout.current_id(), intent.get("release"), intent.get("previous")
    if current is not None:
        try:
            spec = build.recorded_spec(layout, current)
            serving.bring_up(layout, current, spec)
            workers.bring_over(layout, current, spec)
        except SlipwayError as error:
            # Switched, but never asked through the web server: what served before is the one that is known to work.
            if current == release and previous and build.is_complete(layout, previous):
                history.mark_failed(layout, current, error.message)
                units.start(layout.app, previous)
                serving.point(layout, previous)
    if intent.get("action") and release == layout.current_id() != previous:
        history.write(layout, action=intent["action"], release=release, previous=previous, result="ok", recovered=True)
    else:
        history.write(
            layout,
            action=intent.get("action"),
            release=release,
            result="interrupted",
            step=intent.get("step"),
        )
    serving.retire_others(layout)
    if (now := layout.current_id()) not in {None, current}:
        # What served before the one that died ran well; should its worker not, that is no reason to stay stuck here.
        with contextlib.suppress(SlipwayError):
            workers.bring_over(layout, str(now), build.recorded_spec(layout, str(now)))
    faults.point("recover")
    layout.transaction.unlink()
