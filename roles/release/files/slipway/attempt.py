"""One attempt at changing what serves: how far it is, what it took, and how it is undone."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from slipway import build, durable, faults, history, serving, units, workers
from slipway.errors import SlipwayError
from slipway.layout import Layout
from slipway.spec import Spec


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

    def note(self, **outcome: str) -> None:
        """Write a line of the app's history, with how it ended."""
        history.write(
            self.layout,
            action=self.action,
            release=self.release,
            previous=self.previous,
            revision=self.spec.revision,
            by=self.spec.actor,
            steps=self.steps,
            **({"backup": self.backup} if self.backup else {}),
            **outcome,
        )

    def told(self, *, changed: bool) -> dict[str, Any]:
        """What whoever asked for it is told."""
        return {
            "app": self.layout.app,
            "release": self.release,
            "previous": self.previous,
            "changed": changed,
            "steps": self.steps,
            "output": self.output,
            "warnings": self.warnings,
        }


@contextlib.contextmanager
def undone_if_it_fails(run: Run) -> Iterator[None]:
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
            run.note(result="failed", reason=reason)
            run.layout.transaction.unlink(missing_ok=True)
        if isinstance(error, SlipwayError):
            error.hint = " ".join(part for part in (error.hint, still_serving(run.previous)) if part)
        raise


def _undo(run: Run) -> None:
    layout = run.layout
    build.clean(layout)
    if run.previous is not None and layout.current_id() != run.previous:
        serving.point(layout, run.previous)
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
            workers.bring_over(layout, run.previous, build.recorded_spec(layout, run.previous))


def still_serving(release: str | None) -> str:
    """What a user wants to know first where something has failed."""
    if release is None:
        return "Nothing was serving before, and nothing is now."
    return f"Release {release} is still serving; nothing that visitors see has changed."


@contextlib.contextmanager
def plainly(layout: Layout) -> Iterator[None]:
    """Say in our words what the file system refused: it is full, it is read-only, a file is gone."""
    try:
        yield
    except OSError as error:
        message = f"{error.filename or layout.base}: {error.strerror or error}."
        raise SlipwayError(message, hint=still_serving(layout.current_id())) from error
