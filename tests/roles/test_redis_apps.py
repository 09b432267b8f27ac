"""What `apps` may say of Redis, and what follows from it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

URL = "unix:///run/redis-shop/redis.sock"


def app(**changes: Any) -> dict[str, Any]:
    return {"shop": {"source": {"path": "app"}, "wsgi": "wsgi:app", "domains": ["shop.example.com"], **changes}}


def options(**given: Any) -> dict[str, Any]:
    return app(redis=True, redis_options=given)


BAD = [
    (app(redis="yes"), "apps.shop.redis: must be true or false"),
    (app(redis=1), "apps.shop.redis: must be true or false"),
    (app(redis_options={"memory": "64M"}), "apps.shop.redis_options: belongs to redis, which is not true"),
    (app(redis=False, redis_options={"memory": "64M"}), "apps.shop.redis_options: belongs to redis"),
    (options(memroy="64M"), "apps.shop.redis_options.memroy: there is no such key; did you mean memory?"),
    *((options(memory=bad), "apps.shop.redis_options.memory: must be a size such as 64M or 1G") for bad in (
        "", "64", "64mb", "64MB", "0M", "-1G", "25%", "1.5G", "64M\nport 6379", "64M port")),
    (options(memory=64), "apps.shop.redis_options.memory: must be text; put it in quotes"),
    (options(memory="7M"), "apps.shop.redis_options.memory: is too little for Redis"),
    (options(eviction="lru"), "apps.shop.redis_options.eviction: must be one of noeviction, allkeys-lru"),
    (options(persistence="yes"), "apps.shop.redis_options.persistence: must be one of none, rdb, aof"),
    ({**app(redis=True), "redis-shop": {**app()["shop"], "domains": ["b.example.com"]}},
     "apps.redis-shop: /run/redis-shop belongs to the Redis of shop; choose another name"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "problem"), BAD)
def test_what_is_wrong_is_named(apps_filter: ModuleType, given: Any, problem: str) -> None:
    assert any(problem in line for line in apps_filter.apps_problems(given)), apps_filter.apps_problems(given)


@pytest.mark.parametrize(
    "given",
    [
        app(), app(redis=True), app(redis=False), options(), options(memory="8M"), options(memory="2G"),
        options(eviction="noeviction", persistence="aof"), app(redis_options={}),
        {**app(), "redis-shop": {**app()["shop"], "domains": ["b.example.com"]}},
    ],
)  # fmt: skip
def test_what_is_right_passes(apps_filter: ModuleType, given: dict[str, Any]) -> None:
    assert apps_filter.apps_problems(given) == []


def test_the_app_is_told_where_its_redis_is(apps_filter: ModuleType) -> None:
    def settings(**changes: Any) -> dict[str, Any]:
        return dict(apps_filter.apps_complete(app(**changes))["shop"]["settings"])

    assert settings(redis=True)["REDIS_URL"] == URL
    assert "REDIS_URL" not in settings()
    assert settings(redis=True, settings={"REDIS_URL": "redis://else"})["REDIS_URL"] == "redis://else"
    for variable in ("REDIS_URL", "FLASK_REDIS_URL"):
        assert "REDIS_URL" not in settings(redis=True, env={variable: "redis://else"})


def test_what_other_roles_get_holds_no_setting(apps_filter: ModuleType) -> None:
    public = apps_filter.apps_public(options(memory="32M"))["shop"]
    assert public["redis"] is True
    assert public["redis_options"] == {"memory": "32M"}
    assert "settings" not in public
