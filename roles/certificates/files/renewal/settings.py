"""What Ansible has written down for one app: /etc/slipway/certificates/<app>.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/etc/slipway/certificates")


@dataclass(frozen=True)
class Settings:
    """How one app gets its certificate.

    Args:
        app: its name.
        domains: what the certificate is for.
        directory: the URL of the authority's ACME directory.
        authorities: a file with the authorities that the ACME server itself is verified with; empty for the host's.
        email: what the account is made with; empty for none.
        challenges: the directory whose `.well-known/acme-challenge` a web server shows to the authority.
        certificates: holds one directory an app.
        state: holds the accounts and the client's own files.
        reload: the unit to reload when a certificate has changed; empty for none.
    """

    app: str
    domains: list[str]
    directory: str
    authorities: str
    email: str
    challenges: Path
    certificates: Path
    state: Path
    reload: str


def read(app: str, folder: Path = FOLDER) -> Settings:
    """The settings of one app.

    Raises:
        OSError: there are none.
    """
    values = tomllib.loads((folder / f"{app}.toml").read_text())
    paths = {name: Path(values[name]) for name in ("challenges", "certificates", "state")}
    return Settings(**{"app": app, **values, **paths})


def apps(folder: Path = FOLDER) -> list[str]:
    """The apps that have settings."""
    return sorted(path.stem for path in folder.glob("*.toml"))
