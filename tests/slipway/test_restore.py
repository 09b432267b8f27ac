"""Restores: what is back, what stays when one fails, and that none says it worked which did not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slipway import faults, history, schema, transaction
from slipway.data import backup, config, drill, swap, trial
from slipway.data.repository import Repository
from slipway.errors import SlipwayError
from slipway.spec import Migrations

from .conftest import Shop, count, database

POINTS = [
    "backup:copied",
    "backup:stored",
    "trial:dumps",
    "trial:files",
    "swap:noted",
    "swap:stopped",
    "swap:database",
    "swap:exchanged",
    "swap:started",
    "swap:good",
]


class KilledError(BaseException):
    """Stands for a kill: nothing that the program does on its way out happens."""


def manifest(shop: Shop) -> Path:
    (found,) = (shop.repository / "data").rglob("manifest.json")
    return found


def edit(shop: Shop, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(manifest(shop).read_text())
    change(data)
    manifest(shop).write_text(json.dumps(data))


def test_rows_and_files_are_back_and_what_they_replaced_is_kept(shop: Shop) -> None:
    release = shop.deploy()
    taken = shop.backup()
    shop.write("three")
    (shop.database.parent / "upload.txt").write_text("overwritten")
    (shop.database.parent / "later.txt").write_text("later")
    done = shop.restore()
    assert shop.rows() == ["one", "two"]
    assert (shop.database.parent / "upload.txt").read_text() == "mine"
    assert not (shop.database.parent / "later.txt").exists()
    assert (done["backup"], done["serves"], done["rows"], done["changed"]) == (taken["backup"], release, 2, True)
    (kept,) = swap.kept(shop.host.layout)
    old = Path(kept["files"])
    assert (old / "later.txt").read_text() == "later"
    assert count(old / "shop.db") == 3
    assert history.read(shop.host.layout)[-1]["action"] == "restore"
    assert shop.status()["restore"]["result"] == "ok"
    assert shop.left() == []
    # What goes can come again: it is in a backup of its own, which is nobody's newest.
    assert shop.restore()["backup"] == taken["backup"]
    assert shop.restore(named=done["safety"])["rows"] == 3
    swap.forget(shop.host.layout)
    assert not shop.host.layout.replaced.exists()


def test_the_app_is_stopped_for_the_swap_only(shop: Shop) -> None:
    release = shop.deploy()
    shop.backup()
    shop.host.systemd.calls.clear()
    shop.restore()
    assert [call for call in shop.host.systemd.calls if call[0] in {"stop", "start"}] == [
        ("stop", release),
        ("start", release),
    ]
    assert not list((shop.host.tmp / "maintenance").iterdir())


def test_a_moment_means_the_newest_backup_not_younger(shop: Shop) -> None:
    shop.deploy()
    old = shop.backup()
    shop.write("three")
    for path in (shop.repository / "snapshots").iterdir():
        path.write_text(path.read_text().replace(json.loads(path.read_text())["time"], "2026-11-20T02:30:00Z"))
    shop.backup()
    assert shop.restore(at="2026-11-20T04:00+01:00")["backup"] == old["backup"]
    assert shop.rows() == ["one", "two"]
    with pytest.raises(SlipwayError, match="no backup of shop that was taken by 2026-11-19") as caught:
        shop.restore(at="2026-11-19T23:00")
    assert old["backup"] in str(caught.value)


def test_to_try_changes_nothing(shop: Shop) -> None:
    shop.deploy()
    shop.backup()
    shop.write("three")
    done = shop.restore(check_only=True)
    assert (done["changed"], done["rows"]) == (False, 2)
    assert len(shop.rows()) == 3
    assert shop.left() == []
    assert len(list((shop.repository / "snapshots").iterdir())) == 1


def broken_password(shop: Shop) -> None:
    (shop.host.tmp / "password").write_text("other")


def missing_repository(shop: Shop) -> None:
    shop.repository.rename(shop.repository.with_name("elsewhere"))


def another_app(shop: Shop) -> None:
    edit(shop, lambda data: data.update(app="other"))


def another_kind(shop: Shop) -> None:
    edit(shop, lambda data: data["parts"][0].update(kind="postgresql"))


def half_written(shop: Shop) -> None:
    manifest(shop).write_text(manifest(shop).read_text()[:100])


def nothing_at_all(shop: Shop) -> None:
    edit(shop, lambda data: data.update(parts=[], files=0))


def no_dump(shop: Shop) -> None:
    next((shop.repository / "data").rglob("shop.db")).unlink()


def cut_off(shop: Shop) -> None:
    dump = next((shop.repository / "data").rglob("shop.db"))
    dump.write_bytes(dump.read_bytes()[:5000])


def emptied(shop: Shop) -> None:
    next((shop.repository / "data").rglob("shop.db")).write_bytes(b"")


def fewer_rows(shop: Shop) -> None:
    edit(shop, lambda data: data["parts"][0]["fingerprint"]["tables"].update(entry=5))


def other_rows(shop: Shop) -> None:
    edit(shop, lambda data: data["parts"][0]["fingerprint"]["content"].update(file="0" * 64))


def damaged(shop: Shop) -> None:
    with next((shop.repository / "data").rglob("shop.db")).open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"nonsense" * 500)


BAD: dict[Callable[[Shop], None], str] = {
    broken_password: "password does not open",
    missing_repository: "There is no repository at",
    another_app: "is one of other and not of shop",
    another_kind: "keeps its data in sqlite",
    half_written: "not whole: its manifest.json cannot be read",
    nothing_at_all: "is empty: it holds no database and no file",
    no_dump: "lacks the copy of the database shop.db",
    cut_off: "is cut off: the copy of the database shop.db has 5000 of its",
    emptied: "the copy of the database shop.db has no content",
    fewer_rows: "entry has 2 rows where it had 5",
    other_rows: "the content of file is not what it was",
    damaged: "it is damaged",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("attempt", ["restore", "drill"])
def test_a_bad_backup_is_named_and_nothing_is_touched(shop: Shop, spoil: Callable[[Shop], None], attempt: str) -> None:
    release = shop.deploy()
    shop.backup()
    shop.write("three")
    spoil(shop)
    before = shop.host.layout.shared.stat().st_ino
    with pytest.raises(SlipwayError) as caught:
        shop.restore() if attempt == "restore" else drill.run("shop")
    assert BAD[spoil] in str(caught.value)
    assert shop.rows() == ["one", "three", "two"]
    assert shop.host.layout.shared.stat().st_ino == before
    assert shop.host.systemd.running == {release}
    assert shop.left() == []
    assert shop.status()[attempt]["result"] == "failed"
    assert shop.status()[attempt]["reason"]


def test_nothing_is_not_what_anybody_wants_back(shop: Shop) -> None:
    shop.deploy()
    good = shop.backup()
    with database(shop.database) as connection:
        connection.execute("drop table entry")
        connection.execute("drop table alembic_version")
    empty = shop.backup()
    attempts: list[Callable[[], object]] = [shop.restore, lambda: drill.run("shop")]
    for attempt in attempts:
        with pytest.raises(SlipwayError, match="is empty: no database in it has a table"):
            attempt()
    assert shop.restore(named=good["backup"])["rows"] == 2
    assert shop.restore(named=empty["backup"], check_only=True)["rows"] == 0


def test_there_has_to_be_room_beside_what_is_there(shop: Shop) -> None:
    shop.deploy()
    shop.backup()
    edit(shop, lambda data: data.update(shared_bytes=1 << 50))
    with pytest.raises(SlipwayError, match="it is put beside what is there"):
        shop.restore()
    assert shop.left() == []


def test_an_unknown_backup_lists_those_that_there_are(shop: Shop) -> None:
    shop.deploy()
    taken = shop.backup()
    with pytest.raises(SlipwayError, match="no backup 0badcafe of shop") as caught:
        shop.restore(named="0badcafe")
    assert f"{taken['backup']} of " in str(caught.value)
    shop.configure(host="web2")
    with pytest.raises(SlipwayError, match="is backup_host what it was"):
        shop.restore()


def test_data_that_the_app_does_not_come_up_with_goes_again(shop: Shop) -> None:
    release = shop.deploy()
    shop.backup()
    shop.write("three")
    shop.host.unhealthy.add(release)
    with pytest.raises(SlipwayError, match="got 500") as caught:
        shop.restore()
    assert "The data from before is back in its place" in str(caught.value)
    assert len(shop.rows()) == 3
    assert shop.left() == []
    assert shop.status()["restore"]["result"] == "failed"
    assert not list((shop.host.tmp / "maintenance").iterdir())


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_the_app_serves_one_whole_set_of_data(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    release = shop.deploy()
    taken = shop.backup()
    shop.write("three")

    def kill(name: str) -> None:
        if name == point:
            raise KilledError

    with monkeypatch.context() as dying:
        dying.setattr(swap, "_undo", lambda *_args, **_kwargs: None)
        dying.setattr(trial.Trial, "clear", lambda _trial: None)
        dying.setattr(backup, "_clear", lambda _directory: None)
        dying.setattr(faults, "point", kill)
        with pytest.raises(KilledError):
            shop.restore()
    begun = point.startswith("swap:")
    assert swap.recover("shop", actor="systemd") is begun
    assert not swap.recover("shop", actor="systemd")
    assert len(shop.rows()) == (2 if point == "swap:good" else 3)
    assert shop.host.systemd.running == {release}
    assert not list((shop.host.tmp / "maintenance").glob("*"))
    assert shop.restore(named=taken["backup"])["rows"] == 2
    assert shop.rows() == ["one", "two"]
    assert shop.left() == []


def test_a_release_written_for_other_migrations_is_not_given_the_data(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Migrations("current", "heads")
    first = shop.deploy("1", migrations=asked)
    shop.backup()
    second = shop.deploy("2", migrations=asked)
    shop.at("0002")
    heads = {first: {"0001"}, second: {"0002"}}
    monkeypatch.setattr(schema, "revisions", lambda _layout, release, *_words: heads[release])
    with pytest.raises(
        SlipwayError, match=f"is at migration 0001, and release {second} was written for 0002"
    ) as caught:
        shop.restore()
    assert f"--release {first}" in str(caught.value)
    assert "--migrate" in str(caught.value)
    done = shop.restore(release=first)
    assert done["serves"] == first == shop.host.current()
    assert shop.host.systemd.running == {first}
    assert history.previous(shop.host.layout) is None


def test_the_release_command_can_bring_the_data_up_to_date(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    change = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
    change += "c.execute('update alembic_version set version_num = 2'); c.commit()"
    shop.deploy(
        "1", migrations=Migrations("current", "heads"), release_command=f'python3 -c "{change}" {shop.database}'
    )
    shop.at("0001")
    shop.backup()
    monkeypatch.setattr(schema, "revisions", lambda *_words: {"0002"})
    shop.restore(migrate=True)
    with database(shop.database) as connection:
        assert str(connection.execute("select version_num from alembic_version").fetchone()[0]) == "2"


def test_a_refused_rollback_names_the_way_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Migrations("current", "heads")
    first = shop.deploy("1", migrations=asked)
    shop.deploy("2", migrations=asked, release_command="true")
    taken = Repository(config.load()).backups("shop")[-1]
    answers = {"migrations.current": {"0002"}, "migrations.heads": {"0001"}}
    monkeypatch.setattr(schema, "revisions", lambda _layout, _release, _command, name: answers[name])
    with pytest.raises(SlipwayError) as caught:
        transaction.rollback("shop", None, actor="me")
    assert f"slipway restore shop --backup {taken.id} --release {first}" in str(caught.value)


def test_a_drill_passes_on_a_good_backup_and_tells_what_it_saw(shop: Shop) -> None:
    shop.deploy()
    taken = shop.backup()
    shop.write("three")
    done = drill.run("shop")
    assert (done["backup"], done["tables"], done["rows"]) == (taken["backup"], 2, 2)
    about = shop.status()
    assert about["drill"]["result"] == "ok"
    assert about["last_good_drill"]["backup"] == taken["backup"]


def test_a_drill_compares_with_what_there_is_now(shop: Shop) -> None:
    shop.deploy()
    shop.backup()
    shop.write(*map(str, range(1500)))
    with pytest.raises(SlipwayError, match="does not look right") as caught:
        drill.run("shop")
    assert "entry has 2 rows in it and 1502 now" in str(caught.value)
    with database(shop.database) as connection:
        connection.execute("delete from entry")
    shop.backup()
    shop.write("one")
    with pytest.raises(SlipwayError, match="it is empty, while the database holds 1 rows"):
        drill.run("shop")


def test_without_a_repository_there_is_nothing_to_restore_from(shop: Shop) -> None:
    shop.deploy()
    shop.config.unlink()
    with pytest.raises(SlipwayError, match="This host does not back up"):
        shop.restore()
