"""The drill: bring the newest backup back where nobody sees it, and see whether it is any good."""

from __future__ import annotations

from typing import Any

from slipway.data import backup, choice, fingerprint, status
from slipway.data.config import load, work
from slipway.data.every import every
from slipway.data.repository import Repository
from slipway.data.trial import Trial
from slipway.errors import SlipwayError
from slipway.layout import Layout

DATABASE = "drill"


def run(app: str) -> dict[str, Any]:
    """Try the newest backup of an app and note how it went.

    Raises:
        SlipwayError: it is not good; with why.
    """
    config, layout = load(), Layout(app)
    repository = Repository(config)
    with status.told(app, "drill") as about, backup.one_at_a_time(app, config.wait):
        chosen = choice.choose(repository, app)
        about.update(backup.described(chosen), tables=0, rows=0)
        spec = backup.spec_of(layout, layout.current_id() or "")
        trial = Trial(layout, spec, repository, chosen, work(app) / "drill", DATABASE)
        found = trial.manifest()
        trial.check_space(found, files=False)
        with trial.alone(config.wait), trial.cleared():
            for part, restored in trial.bring_back(found, files=False):
                live = trial.live(part)
                if live and (lines := fingerprint.drift(restored, live, config.drift)):
                    raise SlipwayError(
                        f"Backup {chosen} can be restored, but {part} in it does not look right beside the one that "
                        f"{app} uses.",
                        log=lines[:12],
                    )
                about["tables"] += len(restored.tables)
                about["rows"] += restored.rows
    return about


def run_all() -> list[dict[str, Any]]:
    """Try the newest backup of every app; a failure of one does not hold up the others.

    Raises:
        SlipwayError: some are not good; with why.
    """
    return every(
        lambda app: [run(app)], good="Good are those of", hint="Not every app has a backup that is known to be good."
    )
