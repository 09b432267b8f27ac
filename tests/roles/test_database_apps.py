"""What `apps` may say of databases, and which settings follow from it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from app_rules.databases import rule


def app(name: str = "shop", **changes: Any) -> dict[str, Any]:
    return {name: {"source": {"path": "app"}, "wsgi": "wsgi:app", "domains": ["shop.example.com"], **changes}}


URI = "SQLALCHEMY_DATABASE_URI"
POSTGRESQL = {"database": "postgresql"}
BAD = [
    (app(database="mysql"), "apps.shop.database: must be one of sqlite, postgresql"),
    (app(databse="sqlite"), "apps.shop.databse: there is no such key; did you mean database?"),
    (app(postgresql={"extensions": ["citext"]}), "apps.shop.postgresql: belongs to database: postgresql"),
    (app(**POSTGRESQL, postgresql={"extension": []}), "apps.shop.postgresql.extension: there is no such key"),
    (app(**POSTGRESQL, postgresql={"connections": 3}), "apps.shop.postgresql.connections: must be from 4 to 10000"),
    *((app(**POSTGRESQL, postgresql={"extensions": [bad]}), "apps.shop.postgresql.extensions[0]: must be") for bad in (
        "", "Citext", "a b", 'x"; drop', "-x", "x\n", "x;")),
    *((app(name, **POSTGRESQL), f"apps.{name}: PostgreSQL has a {name} of its own") for name in (
        "none", "public", "template0", "template1")),
]  # fmt: skip


RULES = [
    ("local all monitoring peer", ""),
    ("local all monitoring peer map=ops", ""),
    ('local "my-app",other +team,"x" peer', ""),
    ("host all all all reject", ""),
    ("hostssl shop shop 192.0.2.7/32 scram-sha-256", ""),
    ("host all all 2001:db8::/32 scram-sha-256", ""),
    ("local all all trust", "lets in whoever says that name"),
    ("local all all nonsense", "there is no method nonsense"),
    ("host all all 10.0.0.1/8 md5", "10.0.0.1/8 is no network"),
    ("host all all db.example.com md5", "db.example.com is no network"),
    *((bad, "must be a line of pg_hba.conf") for bad in (
        "", "local all all", "host all all peer", "all all peer", "local  all all peer", "local all all peer\nx",
        "local all all peer x", "local a;b all peer", "# local all all peer", "include x")),
]  # fmt: skip


@pytest.mark.parametrize(("line", "problem"), RULES)
def test_what_a_rule_may_say(line: str, problem: str) -> None:
    told = [text for _, text in rule("postgresql_rules[0]", line)]
    assert (not told) if not problem else [text for text in told if problem in text]


@pytest.mark.parametrize(("given", "problem"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_named(apps_filter: ModuleType, given: Any, problem: str) -> None:
    assert any(problem in line for line in apps_filter.apps_problems(given)), apps_filter.apps_problems(given)


def test_the_address_of_the_database_is_derived(apps_filter: ModuleType) -> None:
    def derived(root: str = "/srv", **changes: Any) -> Any:
        return apps_filter.apps_complete(app(**changes), root)["shop"]["settings"].get(URI)

    assert derived() == "sqlite:////srv/shop/shared/shop.db"
    assert derived(root="/data/apps") == "sqlite:////data/apps/shop/shared/shop.db"
    assert derived(**POSTGRESQL) == "postgresql+psycopg://shop@/shop?host=/run/postgresql"
    assert derived(settings={URI: "sqlite:////elsewhere.db"}) == "sqlite:////elsewhere.db"
    assert derived(env={URI: "x"}) is None
    assert derived(env={f"FLASK_{URI}": "x"}) is None


def test_connections_follow_from_what_runs(apps_filter: ModuleType) -> None:
    def connections(**changes: Any) -> Any:
        return apps_filter.apps_postgresql(app(**POSTGRESQL, **changes))["shop"]["connections"]

    assert connections() == 2 * 2 * 3 + 3
    assert connections(server={"processes": 3, "threads": 5}, workers={"mail": "x"}) == 2 * 3 * 5 + 1 + 3
    assert connections(postgresql={"connections": 7}) == 7


def test_only_who_asks_for_it_has_postgresql(apps_filter: ModuleType) -> None:
    assert apps_filter.apps_postgresql(app()) == {}
    assert list(apps_filter.apps_postgresql(app(**POSTGRESQL))) == ["shop"]
    assert apps_filter.apps_postgresql(app(**POSTGRESQL, state="absent")) == {}


def test_more_connections_than_there_are(apps_filter: ModuleType) -> None:
    two = app(**POSTGRESQL) | app("blog", **POSTGRESQL, server={"processes": 4, "threads": 8}) | app("plain")
    for name in two:
        two[name]["domains"] = [f"{name}.example.com"]
    assert apps_filter.apps_connection_problems(two, 15 + 67 + 8) == []
    [told] = apps_filter.apps_connection_problems(two, 89)
    assert told.startswith("postgresql_max_connections: is 89, and 90 are needed: 15 of shop, 67 of blog")
    for key in ("server.processes", "server.threads", "postgresql.connections"):
        assert key in told
    assert apps_filter.apps_connection_problems(app(), 1) == []
    # What is wrong with apps, others tell.
    assert apps_filter.apps_connection_problems({"shop": None}, 1) == []


def test_an_app_says_how_many_it_gets(apps_filter: ModuleType) -> None:
    asks = app(**POSTGRESQL, postgresql={"connections": 92}, server={"processes": 64})
    assert apps_filter.apps_connection_problems(asks, 100) == []
    assert apps_filter.apps_connection_problems(asks, 99) != []
