"""The look that says whether any file is to be written at all, run by the shell that a host has."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from as_wanted import Wanted

OWNER, GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name


def fits(wanted: Wanted) -> bool:
    said = subprocess.run(["sh", "-c", wanted.script()], capture_output=True, text=True, check=True)
    assert said.stderr == ""
    return said.stdout.splitlines() == wanted.answer()


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "it's a place"
    folder.mkdir()
    folder.chmod(0o755)
    for name, mode in (("shop.conf", 0o644), ("blog.conf", 0o644), ("key", 0o600), ("empty", 0o644)):
        (folder / name).write_text("" if name == "empty" else f"{name}\n")
        (folder / name).chmod(mode)
    return folder


def all_of(etc: Path) -> Wanted:
    files = {
        str(etc / name): (b"" if name == "empty" else f"{name}\n".encode(), mode, GROUP)
        for name, mode in (("shop.conf", "0644"), ("blog.conf", "0644"), ("key", "0600"), ("empty", "0644"))
    }
    return Wanted(OWNER, GROUP, [str(etc)], files, [f"{etc}/*.conf", f"{etc}/*.users"], str(etc / "pending"))


def test_what_is_as_wanted_needs_nothing(etc: Path) -> None:
    assert fits(all_of(etc))
    assert fits(Wanted(OWNER, GROUP))


def swap(path: Path) -> None:
    path.rename(path.with_name("target"))
    path.symlink_to("target")


@pytest.mark.parametrize(
    "change",
    [
        lambda etc: (etc / "key").write_text("another\n"),
        lambda etc: (etc / "empty").write_text("full\n"),
        lambda etc: (etc / "key").chmod(0o640),
        lambda etc: (etc / "shop.conf").unlink(),
        lambda etc: (etc / "gone.conf").write_text("# Ansible managed\n"),
        lambda etc: (etc / "gone.users").write_text("# Ansible managed\n"),
        lambda etc: (etc / "pending").write_text("shop.conf\n"),
        lambda etc: etc.chmod(0o700),
        lambda etc: swap(etc / "shop.conf"),
        lambda etc: ((etc / "key").unlink(), (etc / "key").mkdir()),
    ],
    ids=[
        "content",
        "filled",
        "mode",
        "missing",
        "extra",
        "first",
        "pending",
        "closed",
        "link",
        "directory",
    ],
)
def test_what_differs_is_seen(etc: Path, change: Callable[[Path], object]) -> None:
    change(etc)
    assert not fits(all_of(etc))
