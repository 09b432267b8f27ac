"""Which backup is meant."""

from __future__ import annotations

from datetime import datetime

from slipway.data.repository import Backup, Repository, local
from slipway.errors import BAD_REQUEST, SlipwayError

SAFETY = "safety"
_SHOWN = 12


def moment(text: str) -> datetime:
    """A time such as `2026-11-20T03:00`: this host's, unless it names its zone.

    Raises:
        SlipwayError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SlipwayError(
            f"{text!r} is no time. Write it as 2026-11-20T03:00 (this host's time), or with a zone: "
            "2026-11-20T03:00+01:00, 2026-11-20T02:00Z.",
            code=BAD_REQUEST,
        ) from None
    return found.astimezone()


def choose(repository: Repository, app: str, *, at: str = "", named: str = "") -> Backup:
    """The newest backup of an app that is not younger than `at`, or the named one.

    What was set aside before a restore is nobody's newest backup: it is taken only by name.

    Raises:
        SlipwayError: there is none; with those that there are.
    """
    found = repository.backups(app)
    if named:
        fitting = [backup for backup in found if backup.id.startswith(named) or named.startswith(backup.id)]
        wanted = f"no backup {named} of {app}"
    else:
        fitting = [backup for backup in found if backup.kind != SAFETY]
        wanted = f"no backup of {app}"
        if at:
            limit = moment(at)
            fitting = [backup for backup in fitting if backup.at <= limit]
            wanted += f" that was taken by {local(limit)}"
    if not fitting:
        raise SlipwayError(f"The repository holds {wanted}. {_listed(found)}", code=BAD_REQUEST)
    return fitting[-1]


def _listed(found: list[Backup]) -> str:
    if not found:
        return "It holds none of that app at all; is backup_host what it was when they were taken?"
    lines = [f"    {backup} ({backup.kind})" for backup in found[-_SHOWN:]]
    return "\n".join(["There are:", *lines])
