"""What `apps` may say of databases on other hosts, and what each side is then told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from app_rules import logins
from slipway.data import credentials

PASSWORD = "correct-horse/battery:staple@%27"


def app(**changes: Any) -> dict[str, Any]:
    return {"shop": {"source": {"path": "app"}, "wsgi": "wsgi:app", "domains": ["shop.example.com"], **changes}}


def apart(**options: Any) -> dict[str, Any]:
    return app(database="postgresql", postgresql={"host": "db1.internal", "password": PASSWORD, **options})


HOSTS = {"names": ["db1.internal", "10.0.0.9"], "own": [], "clients": {"web1": "10.0.0.5"}}
BAD = [
    (app(database="postgresql", postgresql={"host": "db1"}), "apps.shop.postgresql.password: is missing"),
    (app(database="postgresql", postgresql={"password": PASSWORD}), "apps.shop.postgresql.password: belongs to host"),
    *((apart(host=bad), "apps.shop.postgresql.host: must be a host's name or address") for bad in (
        "db1:5432", "DB1", "db_1", "-x", "db1/x", "db1?sslmode=disable", "a@b", "x\n", "db..1", "[::1]", "a" * 254)),
    ({"shop": {**apart()["shop"], "network": []}}, "apps.shop.network: is empty, and the database is on another host"),
    (apart(password="short"), "apps.shop.postgresql.password: is shorter than 24 characters"),
    *((apart(password=bad), "apps.shop.postgresql.password: must be letters, digits and signs of ASCII") for bad in (
        "", "a password with blanks in it", "\u00fcber" * 8, "x" * 30 + "\n")),
]  # fmt: skip


@pytest.mark.parametrize(("given", "problem"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_named(apps_filter: ModuleType, given: Any, problem: str) -> None:
    assert any(problem in line for line in apps_filter.apps_problems(given)), apps_filter.apps_problems(given)


@pytest.mark.parametrize("host", ["db1", "db1.internal", "10.0.0.9", "2001:db8::9"])
def test_the_app_is_told_how_to_log_in(apps_filter: ModuleType, host: str) -> None:
    complete = apps_filter.apps_complete(apart(host=host))["shop"]
    address = urlsplit(complete["settings"]["SQLALCHEMY_DATABASE_URI"])
    assert address.hostname == host
    assert address.username == complete["postgresql"]["login"]
    assert unquote(address.password or "") == PASSWORD
    assert address.path == "/shop"
    assert "sslmode=verify-full" in address.query


def test_each_password_has_a_login_of_its_own(apps_filter: ModuleType) -> None:
    def login(password: str) -> str:
        return str(apps_filter.apps_complete(apart(password=password))["shop"]["postgresql"]["login"])

    assert re.fullmatch("shop_[0-9a-f]{8}", login(PASSWORD))
    assert login(PASSWORD) == login(PASSWORD)
    assert login(PASSWORD) != login(f"{PASSWORD}x")


def test_the_server_is_told_what_proves_the_password_and_not_the_password(apps_filter: ModuleType) -> None:
    told = apps_filter.apps_logins(apart(), ["db1.internal"])
    [verifier] = told.values()
    _, rounds, salt, stored, server = re.split(r"[$:]", verifier)
    # RFC 5802, from the password anew.
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(salt), int(rounds))
    key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    assert base64.b64decode(stored) == key
    assert base64.b64decode(server) == hmac.digest(salted, b"Server Key", "sha256")
    assert apps_filter.apps_logins(apart(), ["db2"]) == {}
    assert PASSWORD not in str(told)


def test_whoever_restores_has_a_login_that_follows_from_the_backups_password(
    apps_filter: ModuleType, tmp_path: Path
) -> None:
    told = apps_filter.apps_restore_logins(apart(), ["db1.internal"], "backups' own\n")
    [(login, verifier)] = told.items()
    assert re.fullmatch(r"shop\.restore_[0-9a-f]{8}", login)
    # What the app's host makes of its copy of that password, which ends with a line feed.
    (tmp_path / "password").write_text("backups' own\n")
    found = credentials.of_restorer("shop", tmp_path / "password")
    assert found["PGUSER"] == login
    assert verifier == logins.verifier("shop.restore", found["PGPASSWORD"])
    assert found["PGPASSWORD"] == hmac.digest(b"backups' own", b"slipway database restore shop", "sha256").hex()
    assert found["PGPASSWORD"] not in str(told)


def test_another_password_or_app_is_another_login_and_without_backups_there_is_none(apps_filter: ModuleType) -> None:
    def told(given: Any, repository: str) -> Any:
        return apps_filter.apps_restore_logins(given, ["db1.internal"], repository)

    assert set(told(apart(), "one")) != set(told(apart(), "two"))
    assert told(apart(), "one") == told(apart(), " one\n")
    two = {**apart(), "blog": {**apart()["shop"], "domains": ["blog.example.com"]}}
    assert len(set(told(two, "one").values())) == 2
    assert told(apart(), "") == {}
    assert told(app(database="postgresql"), "one") == {}


def test_only_the_deploy_is_told_the_password(apps_filter: ModuleType) -> None:
    assert PASSWORD not in str(apps_filter.apps_public(apart()))
    assert PASSWORD not in str(apps_filter.apps_databases(apart(), ["db1.internal"], 1))
    assert apps_filter.apps_postgresql(apart()) == {}
    assert apps_filter.apps_apart(apart()) == ["shop"]


def test_every_host_of_an_app_has_its_connections(apps_filter: ModuleType) -> None:
    for hosts in (1, 3):
        told = apps_filter.apps_databases(apart(connections=20), ["db1.internal"], hosts)
        assert told["shop"]["connections"] == 20 * hosts


def test_hosts_that_are_not_known_are_named(apps_filter: ModuleType) -> None:
    def problems(**changes: Any) -> list[str]:
        return list(apps_filter.apps_connection_problems(apart(), 100, {**HOSTS, **changes}))

    assert problems() == []
    assert "apps.shop.postgresql.host: is no host of the group db" in problems(names=["db2"])[0]
    assert "that group is empty" in problems(names=[])[0]
    assert "private_address: is missing for web1" in problems(clients={"web1": "web1.example.com"})[0]
    assert apps_filter.apps_connection_problems(app(), 100, {"clients": {"web1": "web1.example.com"}}) == []


def test_a_server_of_many_hosts_is_asked_for_all_of_their_connections(apps_filter: ModuleType) -> None:
    clients = {f"web{number}": f"10.0.0.{number}" for number in range(1, 6)}
    hosts = {**HOSTS, "own": ["db1.internal"], "clients": clients}
    [problem] = apps_filter.apps_connection_problems(apart(connections=20), 100, hosts)
    assert "is 100, and 108 are needed: 100 of shop" in problem
    assert apps_filter.apps_connection_problems(apart(connections=18), 100, hosts) == []
