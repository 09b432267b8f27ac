"""The reference app on each kind of database, as its visitors and its operator see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

INVENTORY = Path(__file__).parent / "inventory" / "hosts.yml"
APPS = sorted(yaml.safe_load(INVENTORY.read_text())["local"]["hosts"]["vps"]["apps"])


@pytest.mark.parametrize("app", APPS)
def test_each_app_is_ready(vps: Any, app: str) -> None:
    answer = vps.https(f"{app}.localhost", "/readyz")
    assert answer.status == 200, answer


def test_a_sqlite_database_is_among_what_outlasts_releases(vps: Any) -> None:
    assert vps.run("stat", "-c", "%U", "/srv/onsqlite/shared/onsqlite.db") == "onsqlite"
    assert vps.run("find", "/srv/onsqlite/current/", "-name", "*.db") == ""
