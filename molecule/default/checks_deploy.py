"""A deploy while visitors come."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

BOOK = "guestbook.localhost"
LITTER = shutil.ignore_patterns(".venv", "instance", "__pycache__", "tests")


def test_visitors_notice_nothing_of_a_deploy(vps: Any, project: Path, tmp_path: Path) -> None:
    first = vps.release("guestbook")
    for source in ("app", "molecule/shared/hello"):
        shutil.copytree(project / source, tmp_path / source, ignore=LITTER)
    (tmp_path / "app/version.txt").write_text("another version\n")
    with vps.guests(BOOK, tmp_path / "load.jsonl") as records:
        done = vps.playbook("playbooks/deploy.yml", "-e", f"release_source_root={tmp_path}")
        assert done.returncode == 0, done.stdout
    assert vps.release("guestbook") != first
    # All of them come from one address, which nginx lets ask only so often: that is no fault of the deploy.
    wrong = [record["error"] for record in records if record["error"] and "429" not in record["error"]]
    assert wrong == []
    assert len([record for record in records if not record["error"]]) > 50
