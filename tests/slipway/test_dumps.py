"""The copy of the databases that is taken before a release command."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest
from slipway import process, transaction
from slipway.errors import SlipwayError

from .conftest import Host


def database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("create table entry (text)")
    connection.execute("insert into entry values ('before')")
    connection.commit()
    connection.close()
    return path


@pytest.fixture(autouse=True)
def no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_BACKUP", str(tmp_path / "backup.json"))
    monkeypatch.setenv("SLIPWAY_BACKUP_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(process, "give", lambda _app, _tree: None)


def deploy(host: Host, version: str, command: str) -> None:
    spec = host.spec(version, release_command=command, python=sys.executable, keep=2)
    transaction.deploy(spec, host.archive())


def test_a_database_is_copied_before_it_is_changed(host: Host) -> None:
    path = database(host.layout.shared / "instance" / "app.db")
    (host.layout.shared / "upload.txt").write_text("SQLite is mentioned here")
    change = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('delete from entry'); c.commit()"
    deploy(host, "1", f'{sys.executable} -c "{change}" {path}')
    (dump,) = host.layout.dumps.iterdir()
    assert sorted(copy.name for copy in dump.rglob("*") if copy.is_file()) == ["app.db", "manifest.json"]
    copied = sqlite3.connect(dump / "sqlite/instance/app.db").execute("select text from entry").fetchall()
    assert copied == [("before",)]
    assert sqlite3.connect(path).execute("select text from entry").fetchall() == []
    assert sorted(left.name for left in path.parent.iterdir()) == ["app.db"]


def test_old_copies_go(host: Host) -> None:
    database(host.layout.shared / "app.db")
    for number in range(4):
        deploy(host, str(number), "true")
    assert len(list(host.layout.dumps.iterdir())) == 2


def test_a_database_that_cannot_be_copied_stops_the_deploy(host: Host) -> None:
    (host.layout.shared / "app.db").write_bytes(b"SQLite format 3\0" + b"nonsense" * 1000)
    with pytest.raises(SlipwayError, match=r"The copy of app\.db"):
        deploy(host, "1", "true")
    assert host.current() is None


def test_no_copy_without_a_release_command(host: Host) -> None:
    database(host.layout.shared / "app.db")
    deploy(host, "1", "")
    assert not host.layout.dumps.exists()
