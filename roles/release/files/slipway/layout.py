"""Where everything of one app stands on the host."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(os.environ.get("SLIPWAY_ROOT", "/srv"))
"""Holds one directory an app; the variable exists for the unit tests."""

RELEASE_ID = re.compile(r"[0-9a-f]{12}")
APP_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Layout:
    """The paths of one app.

    Args:
        app: the app's key in `apps`; also its user and the prefix of its units.
    """

    app: str

    @property
    def base(self) -> Path:
        return ROOT / self.app

    @property
    def releases(self) -> Path:
        return self.base / "releases"

    @property
    def venvs(self) -> Path:
        return self.base / "venvs"

    @property
    def shared(self) -> Path:
        return self.base / "shared"

    @property
    def current(self) -> Path:
        """THE switch: the only record of which release serves."""
        return self.base / "current"

    @property
    def previous(self) -> Path:
        """What served before the last switch: the web server finds the hashed assets there of pages already sent."""
        return self.base / "previous"

    @property
    def dumps(self) -> Path:
        """Copies of the database, each taken before a release command ran."""
        return self.base / "dumps"

    @property
    def journal(self) -> Path:
        return self.base / "journal.jsonl"

    @property
    def lock(self) -> Path:
        return self.base / "deploy.lock"

    @property
    def transaction(self) -> Path:
        """Exists only while a transaction runs; found without its lock held, it tells that one died."""
        return self.base / "transaction.json"

    @property
    def restoring(self) -> Path:
        """Data that is being brought back, beside what serves."""
        return self.base / ".restoring"

    @property
    def replaced(self) -> Path:
        """Data that a restore has replaced, until somebody says that nobody wants it any more."""
        return self.base / "replaced"

    @property
    def restore(self) -> Path:
        """Exists only while restored data changes places with what served; found later, it tells that one died."""
        return self.base / "restore.json"

    def release(self, release: str) -> Path:
        return self.releases / release

    def socket(self, release: str) -> Path:
        return Path("/run") / self.app / f"{release}.sock"

    def current_id(self) -> str | None:
        """The id that `current` names, or None before the first deploy."""
        return _named_by(self.current)

    def previous_id(self) -> str | None:
        """The id that `previous` names, or None before the second deploy."""
        return _named_by(self.previous)


def _named_by(link: Path) -> str | None:
    try:
        name = os.path.basename(os.readlink(link))
    except FileNotFoundError:
        return None
    return name if RELEASE_ID.fullmatch(name) else None


def apps() -> list[str]:
    """The names of all apps on this host, sorted."""
    if not ROOT.is_dir():
        return []
    return sorted(
        path.name for path in ROOT.iterdir() if APP_NAME.fullmatch(path.name) and (path / "releases").is_dir()
    )
