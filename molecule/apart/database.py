"""The host that has the app's database, and the ways in from the app's."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

APP = "apart"
DOMAIN = f"{APP}.localhost"
ASK = ["psql", "--no-psqlrc", "--no-password", "--tuples-only", "--no-align"]


class Server:
    """The host that has the database, seen from its console.

    Args:
        vps: the app's host.
    """

    def __init__(self, vps: Any) -> None:
        self.name = vps.name.replace("-vps-", "-database-")

    def run(self, *command: str, check: bool = True) -> str:
        result = subprocess.run(["podman", "exec", self.name, *command], capture_output=True, text=True, check=False)
        assert not check or result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        return (result.stdout + result.stderr).strip()

    def sql(self, statement: str, *, database: str = APP) -> list[str]:
        return self.run("runuser", "-u", "postgres", "--", *ASK, "-q", "-d", database, "-c", statement).splitlines()

    def logins(self) -> list[str]:
        return self.sql(f"SELECT rolname FROM pg_roles WHERE rolname ~ '^{APP}_' ORDER BY 1", database="postgres")

    def databases(self) -> list[str]:
        found = f"SELECT datname FROM pg_database WHERE datname LIKE '{APP}%' ORDER BY 1"
        return self.sql(found, database="postgres")


def address(vps: Any) -> dict[str, str]:
    """Where the serving release finds its database, by its parts."""
    settings = json.loads(vps.run("cat", f"/srv/{APP}/current/settings.json"))
    found = re.fullmatch(
        r"postgresql\+psycopg://(?P<user>[^:]+):(?P<password>[^@]+)@(?P<host>[^:]+):5432/apart\?(?P<options>.*)",
        settings["SQLALCHEMY_DATABASE_URI"],
    )
    assert found
    return found.groupdict()


def given(found: dict[str, str], **changes: str) -> list[str]:
    """What a program needs to log in as the app, as words for env."""
    variables = {
        "PGHOST": found["host"],
        "PGUSER": found["user"],
        "PGPASSWORD": found["password"],
        "PGDATABASE": APP,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/slipway/postgresql/authorities.pem",
        "PGCONNECT_TIMEOUT": "5",
        **changes,
    }
    return [f"{name}={value}" for name, value in variables.items()]


def ask(vps: Any, statement: str = "SELECT 'let in as ' || current_user", *, user: str = APP, **changes: str) -> str:
    """What psql says to a user on the app's host, the app's unless said otherwise, who has what the app has."""
    words = given(address(vps), **changes)
    command = ["runuser", "-u", user, "--", "env", "-C", "/", *words, "sh", "-c", '"$@" 2>&1 || true', "sh", *ASK]
    return str(vps.run(*command, "-q", "-c", statement))
