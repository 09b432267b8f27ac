"""How a server on another host is asked: as whom, with what, and what is said where it refuses."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slipway import process
from slipway.data import credentials
from slipway.data.postgresql import Server
from slipway.errors import SlipwayError
from slipway.spec import Database

APART = Database("postgresql", "shop", "shop_0123abcd", "db1.internal")
APP = {"PGPASSWORD": "the-app-s", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/etc/authorities.pem"}


class Psql:
    """Remembers what psql was asked, and by whom; answers what a test wants.

    Attributes:
        calls: the user, the environment and the SQL of each call.
        refuses: what it says instead of an answer; empty where it answers.
        answers: what it says then.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], str]] = []
        self.refuses: Callable[[dict[str, str], str], str] = lambda _environment, _sql: ""
        self.answers: Callable[[str], str] = lambda _sql: "42"

    def run(self, words: list[str], **given: Any) -> subprocess.CompletedProcess[str]:
        user, environment = given["env"].pop("as"), given["env"]
        assert all(environment.get("PGPASSWORD", "\0") not in word for word in words)
        self.calls.append((user, environment, given["input"]))
        said = self.refuses(environment, given["input"])
        return subprocess.CompletedProcess(words, 2 if said else 0, self.answers(given["input"]), said)


@pytest.fixture
def psql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Psql:
    (tmp_path / "password").write_text("of-the-repository\n")
    config = tmp_path / "backup.json"
    config.write_text(json.dumps({"repository": "/r", "host": "web1", "password_file": str(tmp_path / "password")}))
    monkeypatch.setenv("SLIPWAY_BACKUP", str(config))
    played = Psql()
    monkeypatch.setattr(subprocess, "run", played.run)
    monkeypatch.setattr(process.Place, "arguments", lambda place: {"env": {**place.environment, "as": place.app}})
    return played


def test_root_makes_databases_there_with_a_password_that_follows_from_the_backups(psql: Psql, tmp_path: Path) -> None:
    Server("shop", APART, APP).drop("shop.drill")
    [(user, environment, sql)] = psql.calls
    assert user == "root"
    assert environment.items() >= credentials.of_restorer("shop", tmp_path / "password").items()
    assert environment.items() >= {"PGHOST": "db1.internal", "PGDATABASE": "postgres", "PGPORT": "5432"}.items()
    assert environment.items() >= {key: APP[key] for key in ("PGSSLMODE", "PGSSLROOTCERT")}.items()
    assert environment["PGPASSWORD"] not in sql + APP["PGPASSWORD"]


def test_it_never_goes_there_without_knowing_who_answers(psql: Psql) -> None:
    Server("shop", APART).drop("shop.drill")
    assert psql.calls[0][1]["PGSSLMODE"] == "verify-full"


def test_on_its_own_host_postgres_makes_them(psql: Psql) -> None:
    Server("shop", Database("postgresql", "shop", "shop")).drop("shop.drill")
    [(user, environment, _)] = psql.calls
    assert (user, environment["PGUSER"], environment["PGDATABASE"]) == ("postgres",) * 3
    assert "PGPASSWORD" not in environment


def test_a_backup_takes_nobody_but_the_app(psql: Psql) -> None:
    assert Server("shop", APART, APP).size() == 42
    [(user, environment, _)] = psql.calls
    assert (user, environment["PGUSER"], environment["PGDATABASE"]) == ("shop", "shop_0123abcd", "shop")
    assert environment["PGPASSWORD"] == APP["PGPASSWORD"]


def test_a_database_that_is_not_there_can_be_looked_for(psql: Psql) -> None:
    gone = 'FATAL:  database "shop" does not exist'
    psql.refuses = lambda environment, _sql: gone if environment["PGDATABASE"] == "shop" else ""
    assert not Server("shop", APART, APP).exists("shop")
    assert [user for user, _, _ in psql.calls] == ["shop", "root"]


def test_a_server_that_does_not_answer_is_no_missing_database(psql: Psql) -> None:
    psql.refuses = lambda _environment, _sql: "connection refused"
    with pytest.raises(SlipwayError, match="Looking which databases there are failed"):
        Server("shop", APART, APP).exists("shop")
    assert len(psql.calls) == 1


def test_where_the_login_is_missing_it_says_what_makes_it(psql: Psql) -> None:
    psql.refuses = lambda _environment, _sql: 'FATAL:  password authentication failed for user "shop.restore_0"'
    with pytest.raises(SlipwayError) as caught:
        Server("shop", APART, APP).create("shop.new")
    assert "Run the whole site.yml once, on db1.internal too" in caught.value.hint


def test_what_is_made_there_is_the_app_s_and_not_its_login_s(psql: Psql) -> None:
    psql.answers = lambda sql: '["UTF8", "C.UTF-8", "C.UTF-8"]' if "datcollate" in sql else ""
    Server("shop", APART, APP).create("shop.new")
    assert 'create database "shop.new" owner "shop" template template0' in psql.calls[-1][2]


def test_sessions_are_ended_until_the_rename_has_ended(psql: Psql) -> None:
    ended = threading.Semaphore(0)

    def refuses(_environment: dict[str, str], sql: str) -> str:
        if "pg_terminate_backend" in sql:
            ended.release()
        elif sql.startswith("begin"):
            # Those who were there before it began, and one who came back.
            return "" if ended.acquire(timeout=10) and ended.acquire(timeout=10) else "being accessed by other users"
        return ""

    psql.refuses = refuses
    psql.answers = lambda sql: "shop" if "starts_with" in sql else ""
    Server("shop", APART, APP).swap("shop.new", "shop.old-1")
    asked = [sql for _, _, sql in psql.calls]
    ends = [number for number, sql in enumerate(asked) if "pg_terminate_backend" in sql]
    [rename] = [number for number, sql in enumerate(asked) if sql.startswith("begin")]
    assert 'alter database "shop" rename to "shop.old-1"' in asked[rename]
    assert 'alter database "shop.new" rename to "shop"' in asked[rename]
    assert ends[0] < rename, "those who were there before it have its lock"
    assert len(ends) > 1, "who comes back meanwhile lets it fail"
    assert all("('shop', 'shop.new')" in asked[number] for number in ends)


def test_an_extension_that_only_postgres_may_make_is_named(psql: Psql, tmp_path: Path) -> None:
    refused = 'ERROR:  permission denied to create extension "postgis"'
    psql.refuses = lambda _environment, sql: refused if "extension" in sql else ""
    with pytest.raises(SlipwayError) as caught:
        Server("shop", APART, APP).restore(tmp_path / "dump", "shop.new", ["postgis"])
    assert "Making the extension postgis" in caught.value.message
    assert "trusted = true to postgis.control" in caught.value.hint
    assert psql.calls[-1][0] == "shop"
