"""Which Pythons a host has, as the role python looks for them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def program(path: Path, version: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho Python {version}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("python3", "wanted", "known"),
    [
        ("3.11.2", "3.11", True),
        ("3.11.2", "3.11.2", True),
        ("3.11.2", "3.1", False),
        # After an upgrade of Debian the old one may still be there.
        ("3.13.5", "3.11", False),
    ],
)
def test_the_distribution_s_python_is_its_python3(tmp_path: Path, python3: str, wanted: str, known: bool) -> None:
    program(tmp_path / "usr/bin/python3", python3)
    program(tmp_path / "usr/bin/python3.11", "3.11.2")
    (tmp_path / "pythons").mkdir()
    (tmp_path / "pythons" / wanted).symlink_to(tmp_path / "usr")
    look = yaml.safe_load((ROOT / "roles/python/vars/main.yml").read_text())["__python_look"]
    command = ["sh", "-c", look, "look", str(tmp_path / "pythons"), wanted, "nothing"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert (f"python {wanted} {tmp_path}/usr" in said.splitlines()) is known, said
