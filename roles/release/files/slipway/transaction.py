"""The release transaction.

Everything up to the switch leaves what serves untouched; the switch is one rename; everything after it can be undone
by renaming back. Killed at any point, the host serves one whole release and boots into it, and `recover`, run first
by the next transaction, finishes what was switched or clears away what was not.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway import build, changes, dumps, durable, faults, history, lock, probe, process, prune, schema, units, workers
from slipway.data import credentials, reachable
from slipway.errors import UNHEALTHY, SlipwayError
from slipway.layout import Layout
from slipway.spec import Spec, from_public


@dataclass
class Run:
    """One attempt: what it is about, when it began (seconds since the epoch) and how long each step of it took."""

    layout: Layout
    spec: Spec
    action: str
    release: str
    previous: str | None
    began: float = field(default_factory=time.time)
    steps: dict[str, float] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    backup: str = ""
    output: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """Note which step is under way, on disk, then do it."""
        intent = {"action": self.action, "release": self.release, "previous": self.previous, "step": name}
        durable.write_file(self.layout.transaction, json.dumps(intent).encode())
        self.begun.add(name)
        faults.point(f"{name}:before")
        began = time.monotonic()
        result = work()
        self.steps[name] = round(time.monotonic() - began, 3)
        faults.point(f"{name}:after")
        return result


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
    with _plainly(layout), lock.held(layout, actor=spec.actor, timeout=spec.lock_timeout):
        recover(layout)
        release = build.release_id(spec)
        run = Run(layout, spec, "deploy", release, layout.current_id())
        _ask_database(run)
        with _attempt(run):
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
    with _plainly(layout), lock.held(layout, actor=actor, timeout=60):
        recover(layout)
        release = history.rollback_target(layout, wanted, force=force)
        spec = recorded_spec(layout, release)
        run = Run(layout, spec, "rollback", release, layout.current_id())
        if release == run.previous:
            return _result(run, changed=False)
        if spec.database.host:
            # Its password may have been replaced since, and a health check need not notice.
            _ask_database(run)
        if not force:
            with _booting(layout, release):
                schema.check(layout, spec, release)
        with _attempt(run):
            _switch(run)
        return _settle(run)


@contextlib.contextmanager
def _booting(layout: Layout, release: str) -> Iterator[None]:
    """Let an instance boot while something else takes its time; nobody is sent to it before the switch."""
    units.start(layout.app, release, wait=False)
    try:
        yield
    except BaseException:
        units.stop(layout.app, release)
        raise


def start(app: str) -> None:
    """Start the release that `current` names: what systemd calls at boot."""
    layout = Layout(app)
    release = layout.current_id()
    if release is not None:
        units.start(app, release)
        workers.bring_over(layout, release, recorded_spec(layout, release))


def stop(app: str) -> None:
    """Stop every instance of an app: what systemd calls when the app's own unit is stopped."""
    workers.stop(app)
    for release in units.instances(app):
        units.stop(app, release)


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
            spec = recorded_spec(layout, current)
            bring_up(layout, current, spec)
            workers.bring_over(layout, current, spec)
        except SlipwayError as error:
            # Switched, but never asked through the web server: what served before is the one that is known to work.
            if current == release and previous and build.is_complete(layout, previous):
                history.mark_failed(layout, current, error.message)
                units.start(layout.app, previous)
                point(layout, previous)
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
    _retire_others(layout)
    if (serving := layout.current_id()) not in {None, current}:
        # What served before the one that died ran well; should its worker not, that is no reason to stay stuck here.
        with contextlib.suppress(SlipwayError):
            workers.bring_over(layout, str(serving), recorded_spec(layout, str(serving)))
    faults.point("recover")
    layout.transaction.unlink()


def _switch(run: Run) -> None:
    layout, spec, release = run.layout, run.spec, run.release
    run.step("start", lambda: bring_up(layout, release, spec, since=run.began))
    _run_hook(run, "before_switch")
    # Before the first switch, not after it: from then on a restart of the machine has to bring the app back.
    units.enable_boot(layout.app)
    if release != run.previous:
        run.step("switch", lambda: point(layout, release))
    if spec.front:
        run.step("front", lambda: ask_front(spec))
    run.step("workers", lambda: workers.bring_over(layout, release, spec))
    _run_hook(run, "after_switch")


def point(layout: Layout, release: str) -> None:
    """Move the link. What it named stays at hand: pages that are on their way ask for their assets after the switch."""
    if (before := layout.current_id()) not in {None, release}:
        durable.replace_link(layout.previous, f"releases/{before}")
    durable.replace_link(layout.current, f"releases/{release}")


def _settle(run: Run) -> dict[str, Any]:
    """After the switch is proven: nothing here can undo it."""
    run.step("retire", lambda: _retire_others(run.layout))
    workers.follow(run.layout, run.spec)
    _note(run, result="ok")
    run.step("prune", lambda: prune.prune(run.layout, run.spec.keep))
    run.layout.transaction.unlink()
    return _result(run, changed=True)


def _result(run: Run, *, changed: bool) -> dict[str, Any]:
    return {
        "app": run.layout.app,
        "release": run.release,
        "previous": run.previous,
        "changed": changed,
        "steps": run.steps,
        "output": run.output,
        "warnings": run.warnings,
    }


@contextlib.contextmanager
def _attempt(run: Run) -> Iterator[None]:
    """Undo an attempt that fails: the link goes back, the new instance stops, the release is marked."""
    try:
        yield
    except BaseException as error:
        _undo(run)
        reason = error.message if isinstance(error, SlipwayError) else f"{type(error).__name__}: {error}"
        # A disk that takes no record of a failure must not hide the failure; the next run puts right what is left.
        with contextlib.suppress(OSError):
            if run.release != run.previous:
                history.mark_failed(run.layout, run.release, reason)
            _note(run, result="failed", reason=reason)
            run.layout.transaction.unlink(missing_ok=True)
        if isinstance(error, SlipwayError):
            error.hint = " ".join(part for part in (error.hint, _still_serving(run.previous)) if part)
        raise


def _undo(run: Run) -> None:
    layout = run.layout
    build.clean(layout)
    if run.previous is not None and layout.current_id() != run.previous:
        point(layout, run.previous)
    elif run.previous is None and layout.current.is_symlink():
        layout.current.unlink()
    if run.release != run.previous:
        units.drain(layout, run.release)
        units.stop(layout.app, run.release)
    # Before a failure of its own hides the one that led here, the old release gets its workers back.
    with contextlib.suppress(SlipwayError):
        if run.previous is None:
            workers.stop(layout.app)
        elif "workers" in run.begun:
            workers.bring_over(layout, run.previous, recorded_spec(layout, run.previous))


def _note(run: Run, **result: str) -> None:
    history.write(
        run.layout,
        action=run.action,
        release=run.release,
        previous=run.previous,
        revision=run.spec.revision,
        by=run.spec.actor,
        steps=run.steps,
        **({"backup": run.backup} if run.backup else {}),
        **result,
    )


def _ask_database(run: Run) -> None:
    """Where it cannot be used the release is not to blame: nothing is built, nothing is marked."""
    try:
        reachable.check(run.layout.app, run.spec.database, _credentials(run))
    except SlipwayError as error:
        with contextlib.suppress(OSError):
            _note(run, result="refused", reason=error.message)
        error.hint = f"{error.hint} {_still_serving(run.previous)}".strip()
        raise


def _credentials(run: Run) -> dict[str, str]:
    if build.is_complete(run.layout, run.release):
        settings = run.layout.release(run.release) / run.spec.settings.filename
        return credentials.of_release(run.spec.database, settings)
    return credentials.environment(run.spec.database, run.spec.settings.content)


def _still_serving(release: str | None) -> str:
    if release is None:
        return "Nothing was serving before, and nothing is now."
    return f"Release {release} is still serving; nothing that visitors see has changed."


@contextlib.contextmanager
def _plainly(layout: Layout) -> Iterator[None]:
    """Say in our words what the file system refused: it is full, it is read-only, a file is gone."""
    try:
        yield
    except OSError as error:
        message = f"{error.filename or layout.base}: {error.strerror or error}."
        raise SlipwayError(message, hint=_still_serving(layout.current_id())) from error


def _require_layout(layout: Layout) -> None:
    if not layout.releases.is_dir():
        raise SlipwayError(
            f"There is no app {layout.app} on this host.",
            hint="Run the whole site.yml once: it makes its directories.",
        )


def recorded_spec(layout: Layout, release: str) -> Spec:
    """The spec that a release was built from, without its secrets."""
    return from_public(build.record(layout, release)["spec"])


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


def bring_up(layout: Layout, release: str, spec: Spec, *, since: float | None = None) -> None:
    """Start a release's instance and ask its own socket until it is healthy; else show its log since a time, or now."""
    began = time.time() if since is None else since
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
        error.log = units.log_tail(layout.app, release, since=began)
        raise


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


def _retire_others(layout: Layout) -> None:
    current = layout.current_id()
    for release in units.instances(layout.app) - {current or ""}:
        units.drain(layout, release)
        # Its slowest request may take as long as graceful_timeout, and nothing below has to wait for that.
        units.stop(layout.app, release, wait=False)
