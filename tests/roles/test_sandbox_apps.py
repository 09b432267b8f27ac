"""What `apps` may say of the network and of limits, and what their units then hold."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


def app(**changes: Any) -> dict[str, Any]:
    return {"shop": {"source": {"path": "app"}, "wsgi": "wsgi:app", "domains": ["shop.example.com"], **changes}}


BAD = [
    *((app(network=[bad]), "apps.shop.network[0]: must be") for bad in (
        "", "local", "*", "any\nIPAddressAllow=any", "10.0.0.1/8", "10.0.0.0/33", "fe80::1%eth0", "db.example.com")),
    (app(network="any"), "apps.shop.network: must be a list"),
    (app(network=[1]), "apps.shop.network[0]: must be text; put it in quotes"),
    (app(network=["any", "localhost"]), "apps.shop.network: says any and more"),
    *((app(limits={"memory": bad}), "apps.shop.limits.memory") for bad in (
        "512", "512m", "512MB", "0M", "-1G", "1.5G", "63M", "101%", "0%", "infinity", "512M\nUser=root", "%h")),
    (app(limits={"memory": 512}), "apps.shop.limits.memory: must be text; put it in quotes"),
    (app(limits={"tasks": 15}), "apps.shop.limits.tasks: must be from 16 to 65536"),
    (app(limits={"tasks": "64"}), "apps.shop.limits.tasks: must be a whole number"),
    (app(limits={"tasks": 64}, server={"processes": 16}), "apps.shop.limits.tasks: the server alone needs 65"),
    (app(limits={"cpu_weight": 0}), "apps.shop.limits.cpu_weight: must be from 1 to 10000"),
    (app(limits={"cpu_weigth": 2}), "apps.shop.limits.cpu_weigth: there is no such key; did you mean cpu_weight?"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "problem"), BAD)
def test_what_is_wrong_is_named(apps_filter: ModuleType, given: Any, problem: str) -> None:
    assert any(problem in line for line in apps_filter.apps_problems(given)), apps_filter.apps_problems(given)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": []}, {"network": ["any"]}, {"network": ["localhost", "10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]},
        {"limits": {}}, {"limits": {"memory": "64M"}}, {"limits": {"memory": "100%", "tasks": 16, "cpu_weight": 10000}},
    ],
)  # fmt: skip
def test_what_is_right_passes(apps_filter: ModuleType, changes: dict[str, Any]) -> None:
    assert apps_filter.apps_problems(app(**changes)) == []
