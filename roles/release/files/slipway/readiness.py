"""Whether a deploy could begin now."""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

from slipway import build, probe, units
from slipway.data import credentials, reachable
from slipway.errors import FAILED, SlipwayError
from slipway.layout import Layout, apps


def check() -> list[dict[str, Any]]:
    """One row for each app that is ready.

    Raises:
        SlipwayError: some are not; with what is in the way of each.
    """
    rows, problems = [], []
    for app in apps():
        found = list(_problems(Layout(app)))
        problems += [f"{app}: {problem}" for problem in found]
        rows.append({"app": app, "ready": not found})
    if problems:
        raise SlipwayError("A deploy would meet problems:\n" + "\n".join(problems), code=FAILED)
    return rows


def _problems(layout: Layout) -> list[str]:
    problems = []
    if holder := _lock_holder(layout):
        problems.append(f"{holder.get('by', 'somebody')} has been deploying it since {holder.get('since', 'unknown')}")
    elif layout.transaction.exists():
        problems.append("a deploy of it was interrupted; the next one, or a rollback, puts that right first")
    if not units.is_known(layout.app):
        problems.append("its units are not installed; run the whole site.yml once")
    try:
        build.check_space(layout, 0)
    except SlipwayError as error:
        problems.append(error.message)
    release = layout.current_id()
    if release is not None:
        spec = build.recorded_spec(layout, release)
        health = spec.health
        try:
            settings = layout.release(release) / spec.settings.filename
            reachable.check(layout.app, spec.database, credentials.of_release(spec.database, settings))
        except SlipwayError as error:
            problems.append(error.message)
        answer = probe.ask_socket(layout.socket(release), health)(health.timeout, lambda: False)
        if not probe.accepts(health, answer):
            problems.append(f"release {release}, which serves, is not healthy itself: {answer}")
    return problems


def _lock_holder(layout: Layout) -> dict[str, Any] | None:
    try:
        descriptor = os.open(layout.lock, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return dict(json.loads(os.read(descriptor, 4096) or b"{}"))
    else:
        return None
    finally:
        os.close(descriptor)
