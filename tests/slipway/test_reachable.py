"""A database that cannot be used: said why, before anything is built; psql is played."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from slipway import transaction
from slipway.data import reachable
from slipway.errors import SlipwayError
from slipway.spec import Database

from tests.slipway.conftest import Host

ASKED = Database("postgresql", "shop", "shop")
REFUSED = 'psql: error: connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: '
SAID = [
    (2, f"{REFUSED}No such file or directory", "it does not run, or cannot be reached"),
    (2, f"{REFUSED}Connection refused", "it does not run, or cannot be reached"),
    (2, f"{REFUSED}FATAL:  sorry, too many clients already", "it is out of connections"),
    (2, f'{REFUSED}FATAL:  too many connections for role "shop"', "it is out of connections"),
    (2, f"{REFUSED}FATAL:  remaining connection slots are reserved", "it is out of connections"),
    (2, f"{REFUSED}FATAL:  the database system is starting up", "it is starting or stopping"),
    (2, f'{REFUSED}FATAL:  database "shop" does not exist', "it does not let the app in"),
    (2, f'{REFUSED}FATAL:  no pg_hba.conf entry for host "[local]"', "it does not let the app in"),
    (2, f'{REFUSED}FATAL:  role "shop" is not permitted to log in', "it does not let the app in"),
    (3, 'ERROR:  could not write to file "base/pgsql_tmp/x": No space left on device', "its disk is full"),
    (0, " read-only\n 2000", "it takes no writes"),
    (3, "something new", "it refuses"),
]


@pytest.fixture
def psql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A psql that ends and says as the files beside it have it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "psql"
    program.write_text(
        f"#!/bin/sh\nenv >{folder}/env; cat >{folder}/asked; cat {folder}/said; exit $(cat {folder}/code)\n"
    )
    program.chmod(0o755)
    (folder / "said").write_text(" 2000\n")
    (folder / "code").write_text("0")
    monkeypatch.setattr(reachable, "_PATH", str(folder) + os.pathsep + "/usr/bin:/bin")
    monkeypatch.setattr(reachable, "_DATA", tmp_path / "nowhere")
    return folder


@pytest.mark.parametrize(("code", "said", "told"), SAID)
@pytest.mark.usefixtures("host")
def test_what_it_says_is_told_in_our_words(psql: Path, code: int, said: str, told: str) -> None:
    (psql / "said").write_text(said)
    (psql / "code").write_text(str(code))
    with pytest.raises(SlipwayError) as refused:
        reachable.check("shop", ASKED)
    assert f"The database of shop cannot be used: {told}." in str(refused.value)
    assert said.strip().splitlines()[-1] in str(refused.value)


@pytest.mark.usefixtures("host")
def test_it_is_asked_as_the_app_and_its_socket_is(psql: Path) -> None:
    reachable.check("shop", ASKED)
    asked = dict(line.split("=", 1) for line in (psql / "env").read_text().splitlines())
    assert (asked["PGUSER"], asked["PGDATABASE"], asked["PGHOST"]) == ("shop", "shop", "/run/postgresql")
    assert "PGPASSWORD" not in asked
    assert "work_mem" in (psql / "asked").read_text()


@pytest.mark.usefixtures("host")
def test_files_are_not_asked(psql: Path) -> None:
    reachable.check("shop", Database())
    assert not (psql / "asked").exists()


@pytest.mark.usefixtures("host")
def test_a_disk_without_room_is_named(psql: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (psql / "said").write_text(f"{REFUSED}Connection refused")
    (psql / "code").write_text("2")
    monkeypatch.setattr(reachable, "_DATA", tmp_path)
    monkeypatch.setattr(reachable, "_LITTLE", 1 << 60)
    with pytest.raises(SlipwayError, match=r"Its disk is full: [0-9]+ MiB are left"):
        reachable.check("shop", ASKED)


def test_a_deploy_meanwhile_is_refused_and_changes_nothing(host: Host, psql: Path) -> None:
    spec = host.spec("1", database=ASKED)
    first = transaction.deploy(spec, host.archive())["release"]
    (psql / "said").write_text(f"{REFUSED}Connection refused")
    (psql / "code").write_text("2")
    calls = list(host.systemd.calls)
    newer = host.spec("2", database=ASKED)
    with pytest.raises(SlipwayError) as refused:
        transaction.deploy(newer, host.archive())
    assert "it does not run" in str(refused.value)
    assert f"Release {first} is still serving" in str(refused.value)
    assert host.systemd.calls == calls
    assert [path.name for path in host.layout.releases.iterdir()] == [first]
    last = json.loads(host.layout.journal.read_text().splitlines()[-1])
    assert last["result"] == "refused"
    assert not host.layout.transaction.exists()
    # The release is not to blame: once the database is back, the same deploy goes through.
    (psql / "code").write_text("0")
    (psql / "said").write_text(" 2000\n")
    assert transaction.deploy(newer, host.archive())["changed"]
