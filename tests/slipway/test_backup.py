"""Backups: what is in one, when there is none, and what is said of it."""

from __future__ import annotations

import os
from collections import namedtuple
from datetime import UTC
from pathlib import Path

import pytest
from slipway import history
from slipway.data import backup, choice, config, every
from slipway.data.repository import Repository
from slipway.errors import BUSY, SlipwayError
from slipway.layout import Layout

from .conftest import Shop, count, database


def backups() -> list[dict[str, object]]:
    return [backup.described(found) for found in Repository(config.load()).backups("shop")]


def stored(shop: Shop) -> Path:
    (found,) = (shop.repository / "data").iterdir()
    return found


def test_a_backup_holds_databases_and_files(shop: Shop) -> None:
    release = shop.deploy()
    taken = shop.backup()
    names = sorted(path.name for path in stored(shop).rglob("*") if path.is_file())
    # The database is there as its copy and nowhere else.
    assert names == ["manifest.json", "shop.db", "upload.txt"]
    (copy,) = stored(shop).rglob("shop.db")
    assert count(copy) == 2
    assert (taken["release"], taken["migration"], taken["kind"]) == (release, "0001", "manual")
    assert [row["backup"] for row in backups()] == [taken["backup"]]
    assert shop.left() == []


def test_what_is_written_meanwhile_does_not_tear_it(shop: Shop) -> None:
    shop.deploy()
    with database(shop.database) as writer:
        writer.execute("insert into entry values ('not committed')")
        shop.backup()
        writer.rollback()
    (copy,) = stored(shop).rglob("shop.db")
    assert count(copy) == 2


def test_the_status_is_for_anyone_to_read_and_holds_no_secret(shop: Shop) -> None:
    shop.deploy()
    taken = shop.backup()
    about = shop.status()
    assert about["backup"]["result"] == "ok"
    assert about["backup"]["backup"] == taken["backup"]
    assert about["backup"]["bytes"] > 0
    path = Path(os.environ["SLIPWAY_BACKUP_STATE"]) / "status" / "shop.json"
    assert path.stat().st_mode & 0o004
    assert path.parent.stat().st_mode & 0o005
    assert "secret" not in path.read_text()


def test_a_damaged_database_is_no_backup(shop: Shop) -> None:
    shop.deploy()
    shop.backup()
    with shop.database.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"nonsense" * 500)
    for side in ("-wal", "-shm"):
        shop.database.with_name(f"shop.db{side}").unlink(missing_ok=True)
    with pytest.raises(SlipwayError, match=r"The copy of shop\.db"):
        shop.backup()
    assert len(backups()) == 1
    about = shop.status()
    assert about["backup"]["result"] == "failed"
    assert "damaged" in about["backup"]["reason"]
    assert about["last_good_backup"]["result"] == "ok"
    assert shop.left() == []


def test_a_file_that_cannot_be_read_is_no_backup(shop: Shop) -> None:
    shop.deploy()
    shop.backup()
    (shop.repository / "unreadable").touch()
    with pytest.raises(SlipwayError, match="could not be read") as caught:
        shop.backup()
    assert "input/output error" in str(caught.value)
    assert len(backups()) == 1


def test_a_wrong_password_is_said_so(shop: Shop, tmp_path: Path) -> None:
    shop.deploy()
    shop.backup()
    (tmp_path / "password").write_text("other")
    with pytest.raises(SlipwayError, match="The password does not open the repository"):
        shop.backup()
    assert "password does not open" in shop.status()["backup"]["reason"]


def test_a_repository_that_is_gone_is_not_made_anew(shop: Shop) -> None:
    shop.deploy()
    shop.backup()
    shop.repository.rename(shop.repository.with_name("elsewhere"))
    with pytest.raises(SlipwayError, match="There is no repository at"):
        shop.backup()
    assert not shop.repository.exists()
    shop.configure(repository=str(shop.repository.with_name("another")))
    shop.backup()


def test_a_lock_that_a_dead_process_left_does_not_matter(shop: Shop) -> None:
    shop.deploy()
    shop.backup()
    (shop.repository / "locked").write_text("stale")
    shop.backup()
    assert len(backups()) == 2


def test_somebody_else_s_lock_is_waited_for_and_then_told(shop: Shop) -> None:
    shop.deploy()
    shop.backup()
    (shop.repository / "locked").write_text("alive")
    with pytest.raises(SlipwayError, match="locked by somebody else") as caught:
        shop.backup()
    assert "PID 1 on elsewhere" in str(caught.value)
    assert caught.value.code == BUSY


def test_room_is_looked_for_before_anything_is_copied(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.deploy()
    disk = namedtuple("disk", "f_bavail f_frsize f_favail f_files")
    monkeypatch.setattr(os, "statvfs", lambda _path: disk(1, 4096, 10**6, 10**6))
    with pytest.raises(SlipwayError, match="MiB free, and a copy of the databases may need"):
        shop.backup()
    assert not shop.repository.exists()
    assert shop.left() == []


def test_old_backups_go_but_not_those_that_a_rollback_needs(shop: Shop) -> None:
    shop.deploy("1")
    release = shop.deploy("2", release_command="true")
    (before,) = [row["backup"] for row in backups()]
    for _ in range(4):
        backup.run_all(kind="scheduled", actor="me")
    found = backups()
    assert [row["kind"] for row in found] == ["before-release", "scheduled", "scheduled"]
    assert found[0]["backup"] == before
    assert history.read(shop.host.layout)[-1]["backup"] == before
    assert history.read(shop.host.layout)[-1]["release"] == release


def test_an_app_that_fails_does_not_hold_up_the_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.deploy()
    monkeypatch.setattr(every, "apps", lambda: ["broken", "shop"])
    monkeypatch.setattr(Layout, "current_id", lambda _layout: "0" * 12)
    real = backup.run

    def run(app: str, **given: str) -> dict[str, object]:
        if app == "broken":
            raise SlipwayError("no")
        monkeypatch.undo()
        return real(app, **given)

    monkeypatch.setattr(backup, "run", run)
    with pytest.raises(SlipwayError, match=r"broken: no"):
        backup.run_all(kind="scheduled", actor="me")


def test_a_first_deploy_without_data_takes_none(shop: Shop) -> None:
    shop.database.unlink()
    for path in shop.host.layout.shared.iterdir():
        path.unlink()
    shop.deploy("1", release_command="true")
    assert "backup" not in history.read(shop.host.layout)[-1]
    assert not (shop.repository / "snapshots").exists() or not backups()


@pytest.mark.parametrize(
    ("text", "utc"),
    [("2026-11-20T03:00Z", "03:00"), ("2026-11-20T03:00+01:00", "02:00"), ("2026-11-20 03:00:30+00:00", "03:00")],
)
def test_a_time_may_name_its_zone(text: str, utc: str) -> None:
    assert choice.moment(text).astimezone(UTC).strftime("%H:%M") == utc


@pytest.mark.parametrize("text", ["yesterday", "03:00", "2026-13-01", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(SlipwayError, match="is no time"):
        choice.moment(text)
