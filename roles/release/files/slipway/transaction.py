"""The release transaction.

Everything up to the switch leaves what serves untouched; the switch is one rename; everything after it can be undone
by renaming back. Killed at any point, the host serves one whole release and boots into it, and `recovery`, run first
by the next transaction, finishes what was switched or clears away what was not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipway import build, changes, dumps, history, lock, process, prune, recovery, schema, serving, units, workers
from slipway.attempt import Run, plainly, still_serving, undone_if_it_fails
from slipway.data import credentials, reachable
from slipway.errors import SlipwayError
from slipway.layout import Layout
from slipway.spec import Spec


def plan(spec: Spec) -> dict[str, Any]:
    """Say what a deploy would do, changing nothing.

    Returns:
        `release`, `current` (ids), `present` (already built), `changed` (whether a deploy would change anything).
    """
    layout = Layout(spec.app)
    release = build.release_id(spec, planned=True)
    current = layout.current_id()
    settled = current == release and units.is_active(spec.app, release) and not layout.transaction.exists()
    return {
        "app": spec.app,
        "release": release,
        "current": current,
        "present": build.is_complete(layout, release),
        "changed": not settled,
        "changes": changes.between(layout, current, spec) if spec.files and current != release else [],
    }


def deploy(spec: Spec, archive: Path | None) -> dict[str, Any]:
    """Build where needed, migrate, check, switch, retire the old instance, prune.

    Args:
        spec: the app.
        archive: its source; None where the release is known to be built.

    Raises:
        SlipwayError: it failed, and what had been serving is serving.
    """
    layout = Layout(spec.app)
    _require_layout(layout)
    with plainly(layout), lock.held(layout, actor=spec.actor, timeout=spec.lock_timeout):
        recovery.recover(layout)
        release = build.release_id(spec)
        run = Run(layout, spec, "deploy", release, layout.current_id())
        _ask_database(run)
        with undone_if_it_fails(run):
            if not build.is_complete(layout, release):
                if archive is None:
                    raise SlipwayError(f"Release {release} is not built on this host and no source was sent.")
                run.warnings = run.step("build", lambda: build.build(layout, spec, release, archive))
            history.clear_failed(layout, release)
            if spec.migrate and spec.release_command and release != run.previous:
                run.backup, run.output = run.step("dump", lambda: dumps.take(layout, spec, release))
                run.output += run.step("release_command", lambda: _release_command(run))
            _switch(run)
        return _settle(run)


def rollback(app: str, wanted: str | None, *, actor: str, force: bool = False) -> dict[str, Any]:
    """Switch back to an earlier release, through the same gate as a deploy.

    Args:
        app: the app.
        wanted: a release id, or None for the previous good one.
        actor: who asks, for the journal.
        force: go even to a release that failed, or that does not fit the database.

    Raises:
        SlipwayError: there is nothing to go back to, or it is not healthy; what had been serving is serving.
    """
    layout = Layout(app)
    _require_layout(layout)
    with plainly(layout), lock.held(layout, actor=actor, timeout=60):
        recovery.recover(layout)
        release = history.rollback_target(layout, wanted, force=force)
        spec = build.recorded_spec(layout, release)
        run = Run(layout, spec, "rollback", release, layout.current_id())
        if release == run.previous:
            return run.told(changed=False)
        build.require_python(layout, release)
        if spec.database.host:
            # Its password may have been replaced since, and a health check need not notice.
            _ask_database(run)
        if not force:
            with _booting(layout, release):
                schema.check(layout, spec, release)
        with undone_if_it_fails(run):
            _switch(run)
        return _settle(run)


def start(app: str) -> None:
    """Start the release that `current` names: what systemd calls at boot."""
    layout = Layout(app)
    release = layout.current_id()
    if release is not None:
        units.start(app, release)
        workers.bring_over(layout, release, build.recorded_spec(layout, release))


def stop(app: str) -> None:
    """Stop every instance of an app: what systemd calls when the app's own unit is stopped."""
    if units.is_machine_stopping():
        # systemd stops them all by itself, and their sockets only after the app's own unit: waiting for these would
        # be waiting for ourselves, until systemd gives up on us.
        return
    workers.stop(app)
    for release in units.instances(app):
        units.stop(app, release)


def _switch(run: Run) -> None:
    layout, spec, release = run.layout, run.spec, run.release
    run.step("start", lambda: serving.bring_up(layout, release, spec, since=run.began))
    _run_hook(run, "before_switch")
    # Before the first switch, not after it: from then on a restart of the machine has to bring the app back.
    units.enable_boot(layout.app)
    if release != run.previous:
        run.step("switch", lambda: serving.point(layout, release))
    if spec.front:
        run.step("front", lambda: serving.ask_front(spec))
    run.step("workers", lambda: workers.bring_over(layout, release, spec))
    _run_hook(run, "after_switch")


def _settle(run: Run) -> dict[str, Any]:
    """After the switch is proven: nothing here can undo it."""
    run.step("retire", lambda: serving.retire_others(run.layout))
    workers.follow(run.layout, run.spec)
    run.note(result="ok")
    run.step("prune", lambda: prune.prune(run.layout, run.spec.keep))
    run.layout.transaction.unlink()
    return run.told(changed=True)


@contextlib.contextmanager
def _booting(layout: Layout, release: str) -> Iterator[None]:
    """Let an instance boot while something else takes its time; nobody is sent to it before the switch."""
    units.start(layout.app, release, wait=False)
    try:
        yield
    except BaseException:
        units.stop(layout.app, release)
        raise


def _ask_database(run: Run) -> None:
    """Where it cannot be used the release is not to blame: nothing is built, nothing is marked."""
    try:
        reachable.check(run.layout.app, run.spec.database, _credentials(run))
    except SlipwayError as error:
        with contextlib.suppress(OSError):
            run.note(result="refused", reason=error.message)
        error.hint = f"{error.hint} {still_serving(run.previous)}".strip()
        raise


def _credentials(run: Run) -> dict[str, str]:
    if build.is_complete(run.layout, run.release):
        settings = run.layout.release(run.release) / run.spec.settings.filename
        return credentials.of_release(run.spec.database, settings)
    return credentials.environment(run.spec.database, run.spec.settings.content)


def _require_layout(layout: Layout) -> None:
    if not layout.releases.is_dir():
        raise SlipwayError(
            f"There is no app {layout.app} on this host.",
            hint="Run the whole site.yml once: it makes its directories.",
        )


def _release_command(run: Run) -> list[str]:
    return process.run(
        run.layout.app,
        run.layout.release(run.release),
        run.spec.release_command,
        timeout=run.spec.release_timeout,
        name="release_command",
    )


def _run_hook(run: Run, name: str) -> None:
    if (hook := run.spec.hooks.get(name)) is not None:
        app, release = run.layout.app, run.layout.release(run.release)
        run.step(name, lambda: process.run(app, release, hook.command, timeout=hook.timeout, name=f"hooks.{name}"))
