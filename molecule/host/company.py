"""The apps of vars/apps.yml, for the checks that need one which somebody has taken over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def company(vps: Any, project: Path) -> list[str]:
    """See that they are deployed, and name them."""
    wanted = ["guestbook", "hello", "homely", "intruder", "sealed"]
    found = [row["app"] for row in json.loads(vps.run("slipway", "--json", "status"))]
    if set(wanted) - set(found):
        done = vps.playbook("site.yml", "-e", f"@{project}/molecule/host/vars/apps.yml")
        assert done.returncode == 0, done.stdout
    return wanted
