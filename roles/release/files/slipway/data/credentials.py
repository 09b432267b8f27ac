"""What logs in to a database on another host: the app, and whoever restores its data.

The app's password is in the settings of the release that is meant. Nothing else holds it, so nothing else has to be
kept in step with it. The other one follows from the repository's password: who can read backups can bring them back.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from slipway.spec import Database

# In each form that settings have: an address has no character that one of them would write otherwise.
_ADDRESS = re.compile(rb"""\bSQLALCHEMY_DATABASE_URI["']?\s*[:=]\s*["'](postgresql[^"'\\\s]+)["']""")


def environment(database: Database, content: bytes) -> dict[str, str]:
    """Variables for psql, pg_dump and whatever else has libpq; to be given to such a program alone, never as arguments.

    Args:
        database: the app's; on its own host the app's user is enough.
        content: the settings file.
    """
    found = _ADDRESS.search(content) if database.host else None
    if found is None:
        return {}
    address = urlsplit(found[1].decode())
    asked = {name: values[-1] for name, values in parse_qs(address.query).items()}
    named = {
        "PGPASSWORD": unquote(address.password or ""),
        "PGSSLMODE": asked.get("sslmode", ""),
        "PGSSLROOTCERT": asked.get("sslrootcert", ""),
    }
    return {name: value for name, value in named.items() if value}


def of_release(database: Database, settings: Path) -> dict[str, str]:
    """The same for a release that is built, from its settings file."""
    return environment(database, settings.read_bytes()) if database.host else {}


def of_restorer(app: str, password_file: Path) -> dict[str, str]:
    """Variables for the login that makes, renames and drops an app's databases.

    Args:
        app: whose.
        password_file: holds the repository's password; root's alone.
    """
    user, password = _derived(app, password_file.read_bytes().decode().strip())
    return {"PGUSER": user, "PGPASSWORD": password}


@functools.cache
def _derived(app: str, repository: str) -> tuple[str, str]:
    # The controller derives the same, for the server: roles/preflight/files/app_rules/logins.py.
    password = hmac.digest(repository.encode(), f"slipway database restore {app}".encode(), "sha256").hex()
    who = f"{app}.restore"
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), f"slipway login {who}".encode(), 20_000)
    return f"{who}_{digest.hex()[:8]}", password
