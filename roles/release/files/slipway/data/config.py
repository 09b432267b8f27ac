"""How this host backs up, as the role `backup` has written it, and where that leaves its traces."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from slipway.errors import SlipwayError

MARGIN = 64 << 20
"""Bytes that stay free on any disk, whatever is written there."""


@dataclass(frozen=True)
class Config:
    """What is said of backups on this host.

    Args:
        repository: where restic keeps them: a directory, or a URL that restic knows.
        host: what this host's backups are filed under; another machine that takes its place keeps the name.
        password_file: holds the repository's password.
        credentials_file: variables that the repository's server asks for, such as a key of S3; may be missing.
        options: extended options for restic, such as the command that connects over SSH.
        cache: where restic keeps what it knows of the repository.
        keep: how many backups stay, by `last`, `daily`, `weekly` and `monthly`.
        wait: seconds to wait for an app's lock, and for whoever has locked the repository.
        drift: percent by which a table's rows may differ between the newest backup and now before a drill fails.
        check_part: percent of the repository that the weekly check reads back.
        maintenance: the directory in which a page closes an app to its visitors.
    """

    repository: str
    host: str
    password_file: str = "/etc/slipway/backup.password"  # noqa: S105 - where it is, not what
    credentials_file: str = "/etc/slipway/backup-credentials.json"
    options: tuple[str, ...] = ()
    cache: str = "/var/cache/slipway/restic"
    keep: dict[str, int] = field(default_factory=dict)
    wait: float = 3600
    drift: int = 50
    check_part: int = 10
    maintenance: str = "/var/lib/slipway/maintenance"

    @property
    def directory(self) -> Path | None:
        """The repository's directory where it is on this host."""
        return Path(self.repository) if self.repository.startswith("/") else None

    def environment(self) -> dict[str, str]:
        """What the repository's server asks for."""
        path = Path(self.credentials_file)
        return dict(json.loads(path.read_text())) if path.exists() else {}


def file() -> Path:
    """What the role `backup` writes; the variable is for the unit tests."""
    return Path(os.environ.get("SLIPWAY_BACKUP", "/etc/slipway/backup.json"))


def state() -> Path:
    """Holds how each app's backups do, for anyone to read, and what only root may see."""
    return Path(os.environ.get("SLIPWAY_BACKUP_STATE", "/var/lib/slipway/backup"))


def configured() -> bool:
    """Whether this host backs up at all."""
    return file().exists()


def load() -> Config:
    """What is configured.

    Raises:
        SlipwayError: nothing is, or the file cannot be read.
    """
    try:
        data = json.loads(file().read_text())
        return Config(**{**data, "options": tuple(data.get("options", ()))})
    except FileNotFoundError:
        raise SlipwayError(
            "This host does not back up: there is no " + str(file()) + ".",
            hint="Have backup_enabled: true and vault_backup_password, and run the whole site.yml once.",
        ) from None
    except (ValueError, TypeError) as error:
        raise SlipwayError(f"{file()} cannot be read: {error}", hint="Run the whole site.yml: it writes it.") from None


def work(app: str) -> Path:
    """Where an app's dumps are made and tried; others may pass through, since the app's own user does part of it."""
    path = state() / ".work" / app
    path.mkdir(parents=True, exist_ok=True)
    for directory, mode in ((state(), 0o755), (state() / ".work", 0o711), (path, 0o711)):
        directory.chmod(mode)
    return path
