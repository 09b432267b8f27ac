"""The program that puts a way in back: what it brings back, when, and when it leaves things alone."""

from __future__ import annotations

import stat
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import load

pytestmark = pytest.mark.usefixtures("systemd")


class Calls:
    """Stands for systemd; notes what it is asked for."""

    def __init__(self) -> None:
        self.made: list[list[str]] = []
        self.code = 0

    def __call__(self, command: list[str], **_: object) -> Calls:
        self.made.append(command)
        return self

    returncode = property(lambda self: self.code)
    stdout = stderr = "no bus"


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr("subprocess.run", calls)
    return calls


@pytest.fixture
def guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load("roles/guard/files/slipway_guard.py")
    monkeypatch.setattr(module, "STATE", tmp_path / "state")
    monkeypatch.setattr("os.fchown", lambda *_: None)
    (tmp_path / "state").mkdir()
    return module


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sshd.conf"
    path.write_text("old")
    path.chmod(0o640)
    return path


def test_what_nobody_confirms_is_as_before(guard: ModuleType, systemd: Calls, file: Path, tmp_path: Path) -> None:
    new, link = tmp_path / "new.conf", tmp_path / "link"
    link.symlink_to("old-target")
    identity = guard.arm("ssh", 60, "systemctl restart ssh", [file, new, link])
    assert any("--on-active=60" in command for command in systemd.made)
    file.write_text("changed")
    file.chmod(0o600)
    new.write_text("new")
    link.unlink()
    guard.restore("ssh", identity)
    assert file.read_text() == "old"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert not new.exists()
    assert str(link.readlink()) == "old-target"
    assert systemd.made[-1] == ["sh", "-c", "systemctl restart ssh"]
    assert not list(guard.STATE.iterdir())


def test_what_is_confirmed_stays_and_the_timer_finds_nothing(guard: ModuleType, file: Path) -> None:
    identity = guard.arm("ssh", 60, "true", [file])
    file.write_text("new")
    guard.confirm("ssh", identity)
    with pytest.raises(guard.RefusedError, match="no guard is armed"):
        guard.restore("ssh", identity)
    assert file.read_text() == "new"


def test_an_old_timer_has_no_say_in_a_new_change(guard: ModuleType, file: Path) -> None:
    first = guard.arm("ssh", 60, "true", [file])
    file.write_text("half done")
    second = guard.arm("ssh", 60, "true", [file])
    # What the first run was killed over is not what works.
    assert file.read_text() == "old"
    with pytest.raises(guard.RefusedError, match="armed again"):
        guard.restore("ssh", first)
    with pytest.raises(guard.RefusedError, match="armed again"):
        guard.confirm("ssh", first)
    guard.confirm("ssh", second)


def test_nothing_is_restarted_where_nothing_had_changed(guard: ModuleType, systemd: Calls, file: Path) -> None:
    guard.restore("ssh", guard.arm("ssh", 60, "systemctl restart ssh", [file]))
    assert ["sh", "-c", "systemctl restart ssh"] not in systemd.made


def test_at_boot_files_come_back_and_services_are_left_to_start(guard: ModuleType, systemd: Calls, file: Path) -> None:
    guard.arm("ssh", 60, "systemctl restart ssh", [file])
    file.write_text("new")
    guard.restore("ssh", None, at_boot=True)
    assert file.read_text() == "old"
    assert ["sh", "-c", "systemctl restart ssh"] not in systemd.made


def test_without_a_timer_nothing_may_change(guard: ModuleType, systemd: Calls, file: Path) -> None:
    systemd.code = 1
    with pytest.raises(guard.RefusedError, match="the timer does not start, so nothing may change: no bus"):
        guard.arm("ssh", 60, "true", [file])
    assert not list(guard.STATE.iterdir())
