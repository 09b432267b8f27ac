"""What an app logs in to a database on another host with: from the settings of the release that is meant.

Nothing else holds the password, so nothing else has to be kept in step with it.
"""

from __future__ import annotations

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
