"""What serves: starting an instance, sending visitors to it, and retiring those before it."""

from __future__ import annotations

import time

from slipway import durable, failure, probe, units
from slipway.errors import UNHEALTHY, SlipwayError
from slipway.layout import Layout
from slipway.spec import Spec


def bring_up(layout: Layout, release: str, spec: Spec, *, since: float | None = None) -> None:
    """Start a release's instance and ask its own socket until it is healthy; else show its log since a time, or now."""
    began = time.time()
    since = began if since is None else since
    units.start(layout.app, release)
    before = units.crashes(layout.app, release)
    try:
        probe.gate(
            spec.health,
            probe.ask_socket(layout.socket(release), spec.health),
            where=f"the new instance {units.service(layout.app, release)}",
            crashed=lambda: units.crashes(layout.app, release) > min(before, 1_000_000),
        )
    except SlipwayError as error:
        failure.explain(error, units.service(layout.app, release), since=since)
        raise
    _await_workers(layout.app, release, patience=max(time.time() - began, 1.0))


def _await_workers(app: str, release: str, *, patience: float) -> None:
    """Give the other workers as long as the first one took, so that visitors do not find it alone.

    It has answered as it should, so it is no failure where one of them is slower than that.
    """
    deadline = time.monotonic() + patience
    while not units.has_booted(app, release) and time.monotonic() < deadline:
        time.sleep(0.02)


def point(layout: Layout, release: str) -> None:
    """Move the link. What it named stays at hand: pages that are on their way ask for their assets after the switch."""
    if (before := layout.current_id()) not in {None, release}:
        durable.replace_link(layout.previous, f"releases/{before}")
    durable.replace_link(layout.current, f"releases/{release}")


def ask_front(spec: Spec) -> None:
    """Ask what serves now, through the web server."""
    health = spec.health
    answer = probe.ask_front(spec.front, health)(health.timeout, lambda: False)
    if not probe.accepts(health, answer) and not (spec.guarded and answer.status in {401, 403}):
        raise SlipwayError(
            f"After the switch, the web server at {spec.front} answered GET {health.path} for {health.host} "
            f"with {answer}; the app itself is healthy.",
            hint="The switch was undone. Look at the web server: journalctl -u nginx, nginx -t.",
            code=UNHEALTHY,
        )


def retire_others(layout: Layout) -> None:
    """Stop every instance but the one that `current` names, once it has nothing left to answer."""
    current = layout.current_id()
    for release in units.instances(layout.app) - {current or ""}:
        units.drain(layout, release)
        # Its slowest request may take as long as graceful_timeout, and nothing below has to wait for that.
        units.stop(layout.app, release, wait=False)
