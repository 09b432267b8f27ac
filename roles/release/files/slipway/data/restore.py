"""Bringing an app's data back: everything is checked and made ready beside what serves, then it changes places."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from slipway import build, lock, schema
from slipway.data import backup, choice, fingerprint, status, swap
from slipway.data.config import load
from slipway.data.manifest import Manifest
from slipway.data.repository import Backup, Repository
from slipway.data.trial import Trial
from slipway.errors import BAD_REQUEST, SlipwayError
from slipway.layout import Layout
from slipway.spec import Spec

DATABASE = "new"


def run(
    app: str,
    *,
    actor: str,
    at: str = "",
    named: str = "",
    release: str = "",
    migrate: bool = False,
    check_only: bool = False,
) -> dict[str, Any]:
    """Restore an app's databases and files.

    Args:
        app: the app.
        actor: who asks, for the journal.
        at: the newest backup that is not younger than this; empty for the newest of all.
        named: a certain backup instead.
        release: the release that is to serve the data, where the one that serves does not fit it.
        migrate: run the release command on the restored data before it serves.
        check_only: do all of it but let the data serve.

    Raises:
        SlipwayError: it was not restored; what had been serving is serving, with its data.
    """
    config, layout = load(), Layout(app)
    repository = Repository(config)
    serving = layout.current_id()
    spec = backup.spec_of(layout, serving or "")
    assert serving is not None  # noqa: S101 - spec_of has refused that
    if release:
        build.record(layout, release)
        build.require_python(layout, release)
    about: dict[str, Any] = {}
    with _told(app, about, quiet=check_only), lock.held(layout, actor=actor, timeout=config.wait):
        chosen = choice.choose(repository, app, at=at, named=named)
        about |= backup.described(chosen)
        trial = Trial(layout, spec, repository, chosen, layout.restoring, DATABASE)
        found = trial.manifest(even_empty=bool(named))
        if not migrate:
            _check_schema(layout, found, release or serving, chosen)
        trial.check_space(found, files=True)
        if os.path.ismount(layout.shared):
            raise SlipwayError(f"{layout.shared} is a disk of its own, which cannot change places with a directory.")
        ready = not check_only
        with trial.alone(config.wait):
            with trial.cleared(after=not ready):
                results = trial.bring_back(found, files=True)
                about |= {"tables": sum(len(now.tables) for _, now in results)}
                about |= {"rows": sum(now.rows for _, now in results), "files": found.files, "changed": False}
                safety = backup.inside(layout, kind=choice.SAFETY) if ready else None
            if ready:
                wanted = _swap(trial, found, serving=serving, release=release or serving, actor=actor)
                wanted = replace(wanted, safety=safety["backup"] if safety else "")
                swap.perform(layout, config, wanted, migrate=migrate)
                about |= {"changed": True, "serves": wanted.after, "replaced": wanted.stamp}
                about |= {"safety": safety["backup"] if safety else None}
    return about


def _swap(trial: Trial, found: Manifest, *, serving: str, release: str, actor: str) -> swap.Swap:
    """What is to change places."""
    while (trial.layout.replaced / (stamp := f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}")).exists():
        time.sleep(0.1)
    server = any(part.kind == "postgresql" for part in found.parts)
    return swap.Swap(
        app=trial.layout.app,
        stamp=stamp,
        backup=trial.backup.id,
        safety="",
        before=serving,
        after=release,
        new=trial.database if server else "",
        old=f"{trial.spec.database.name}.{swap.OLD}-{stamp}" if server else "",
        inode=trial.layout.shared.stat().st_ino,
        actor=actor,
    )


@contextlib.contextmanager
def _told(app: str, about: dict[str, Any], *, quiet: bool) -> Iterator[None]:
    if quiet:
        yield
        return
    with status.told(app, "restore") as noted:
        yield
        noted.update(about)


def _check_schema(layout: Layout, found: Manifest, release: str, chosen: Backup) -> None:
    """See that the release which is to serve was written for the backup's database.

    Raises:
        SlipwayError: it was not; with the ways out.
    """
    spec: Spec = backup.spec_of(layout, release)
    if spec.migrations is None or not found.heads:
        return
    heads = schema.revisions(layout, release, spec.migrations.heads, "migrations.heads")
    if heads == set(found.heads):
        return
    ways = ["Have its release_command bring the restored data up to it: --migrate (-e migrate=true)."]
    if build.is_complete(layout, found.release):
        ways.append(
            f"Or let the release serve that served then: --release {found.release} (-e release={found.release})."
        )
    else:
        ways.append("Or deploy the code that fits, and restore after that.")
    raise SlipwayError(
        f"The database in backup {chosen} is at migration {fingerprint.names(found.heads)}, and release {release} was "
        f"written for {fingerprint.names(tuple(sorted(heads)))}. Nothing was changed.",
        hint=" ".join(ways),
        code=BAD_REQUEST,
    )
