"""What `apps` may say: everything wrong is refused with the key named, everything right passes."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from app_rules.formats import FORMATS

GOOD: dict[str, Any] = {"source": {"path": "app"}, "wsgi": "wsgi:app", "domains": ["shop.example.com"]}


def app(**changes: Any) -> dict[str, Any]:
    return {"shop": {**copy.deepcopy(GOOD), **changes}}


BAD = [
    ({}, "apps: must be"),
    ({"shop": None}, "apps.shop: must be a dictionary"),
    ({"Shop": GOOD}, "apps.Shop: a name is"),
    ({"../x": GOOD}, "apps.../x: a name is"),
    ({"-rf": GOOD}, "apps.-rf: a name is"),
    ({"root": GOOD}, "apps.root: that name belongs to the system"),
    ({"nginx": GOOD}, "apps.nginx: that name belongs to the system"),
    ({"systemd-x": GOOD}, "apps.systemd-x: that name belongs to the system"),
    ({"a" * 32: GOOD}, "a name is"),
    ({"shop": {}}, "apps.shop.wsgi: is missing"),
    ({"shop": {}}, "apps.shop.source: is missing"),
    ({"shop": {}}, "apps.shop.domains: is missing"),
    (app(domain="x"), "apps.shop.domain: there is no such key; did you mean domains?"),
    (app(healt={}), "did you mean health?"),
    (app(zzz=1), "apps.shop.zzz: there is no such key; there are source"),
    (app(source="app"), "apps.shop.source: must be a dictionary"),
    (app(source={"path": ""}), "apps.shop.source.path"),
    (app(source={"path": "a\nb"}), "apps.shop.source.path"),
    (app(source={"url": "x"}), "apps.shop.source.url: there is no such key"),
    (app(source={"path": "app", "host_key": "x"}), "apps.shop.source.host_key: belongs to git"),
    *(
        (app(source={"git": "ssh://git@example.com/x.git", "version": "main", **bad}), message)
        for bad, message in (
            ({"key": "ssh-ed25519 AAAA me"}, "apps.shop.source.key: must be a whole private SSH key"),
            ({"key": "-----BEGIN OPENSSH PRIVATE KEY----- AAAA"}, "apps.shop.source.key: must be a whole"),
            ({"host_key": "example.com ssh-ed25519 AAAA"}, "apps.shop.source.host_key: must be one line"),
            ({"host_key": "ssh-ed25519 AAAA\nx ssh-ed25519 AAAA"}, "apps.shop.source.host_key: must be one line"),
            ({"path": "../x"}, "apps.shop.source.path: must be a path inside the source"),
        )
    ),
    (app(wsgi="wsgi"), "apps.shop.wsgi: must be module:object"),
    (app(wsgi="wsgi:app; import os"), "apps.shop.wsgi"),
    (app(wsgi="wsgi:app\n"), "apps.shop.wsgi"),
    (app(wsgi=1), "apps.shop.wsgi: must be text; put it in quotes"),
    (app(domains=[]), "apps.shop.domains: must name at least one"),
    (app(domains="shop.example.com"), "apps.shop.domains: must be a list"),
    *(
        (app(domains=[bad]), "apps.shop.domains[0]")
        for bad in (
            "",
            "*",
            "localhost",
            "shop.example.com.",
            "-a.example.com",
            "a_b.example.com",
            "a b.example.com",
            "shop.example.com;",
            "shop.example.com\n",
            "{x}.example.com",
            "$host.example.com",
            "198.51.100.7",
            "198.51.100.7:80",
            "a" * 64 + ".example.com",
            ".".join(["a" * 60] * 5),
            "münchen.example",
            "Shop.example.com",
            "../x",
            "http://shop.example.com",
            "shop..example.com",
            1,
        )
    ),
    (app(domains=["a.example.com", "a.example.com"]), "the domain a.example.com stands more than once"),
    (app(health="/healthz"), "apps.shop.health: must be a dictionary"),
    (app(health={"path": "healthz"}), "apps.shop.health.path: must be a path that begins with a slash"),
    (app(health={"path": "/a b"}), "apps.shop.health.path"),
    (app(health={"path": "/a\r\nHost: x"}), "apps.shop.health.path"),
    (app(health={"timeout": "30"}), "apps.shop.health.timeout: must be a whole number"),
    (app(health={"timeout": 0}), "apps.shop.health.timeout: must be from 1 to 3600"),
    (app(health={"status": True}), "apps.shop.health.status: must be a whole number"),
    (app(health={"status": 99}), "apps.shop.health.status: must be from 100 to 599"),
    (app(server={"workers": 2}), "apps.shop.server.workers: there is no such key"),
    (app(server={"processes": 0}), "apps.shop.server.processes: must be from 1 to 512"),
    (app(env={"1A": "x"}), "apps.shop.env.1A: an environment variable's name"),
    (app(env={"A B": "x"}), "apps.shop.env.A B"),
    (app(env={"A=B": "x"}), "apps.shop.env.A=B"),
    (app(env={"LD_PRELOAD": "x"}), "apps.shop.env.LD_PRELOAD: this variable decides what code runs"),
    (app(env={"PYTHONPATH": "x"}), "apps.shop.env.PYTHONPATH"),
    (app(env={"A": 1}), "apps.shop.env.A: must be text; put it in quotes"),
    (app(env={"A": "x\0y"}), "apps.shop.env.A: holds a NUL"),
    (app(settings={"A": {"B": ["x\0"]}}), "apps.shop.settings.A.B[0]: holds a NUL"),
    (app(settings={"A": object()}), "apps.shop.settings.A: must be text, a number"),
    (app(settings=[]), "apps.shop.settings: must be a dictionary"),
    (app(static={"path": "/etc"}), "apps.shop.static.path: must be a path inside the source"),
    (app(static={"path": "../x"}), "apps.shop.static.path"),
    (app(static={"url": "/"}), "apps.shop.static.url: must be a path such as /static"),
    (app(static={"url": "/static/"}), "apps.shop.static.url"),
    (app(static={"url": "/a;b"}), "apps.shop.static.url"),
    (app(static={"url": "/a/../b"}), "apps.shop.static.url"),
    (app(shared=["/var"]), "apps.shop.shared[0]: must be a path inside the source"),
    (app(shared=["a/../.."]), "apps.shop.shared[0]"),
    (app(shared=["-rf"]), "apps.shop.shared[0]"),
    (app(shared=[1]), "apps.shop.shared[0]: must be text; put it in quotes"),
    (app(requirements="../requirements.txt"), "apps.shop.requirements"),
    *(
        (app(python=bad), "apps.shop.python: must be a version from 3.8 on")
        for bad in (
            "2.7",
            "3",
            "3.4",
            "3.12.",
            "3.012",
            "latest",
            "python3.12",
            "3.12-dev",
            "3.12t",
            "pypy3.10",
            "3.12\n",
        )
    ),
    (app(python=3.12), "apps.shop.python: must be text; put it in quotes"),
    (app(python="/usr/../bin/python3"), "apps.shop.python: must be the absolute path"),
    (app(release_command="echo 'x"), "apps.shop.release_command: cannot be split into words"),
    (app(release_command="a\nb"), "apps.shop.release_command: must be one line"),
    (app(tls={"mode": "none"}), "apps.shop.tls.mode: must be one of acme, selfsigned, files"),
    (app(tls={"mod": "acme"}), "apps.shop.tls.mod: there is no such key; did you mean mode?"),
    (app(tls={"mode": "acme", "email": "x"}), "apps.shop.tls.email: there is no such key"),
    (app(tls="acme"), "apps.shop.tls: must be a dictionary"),
    (app(tls={"mode": "acme", "check": "no"}), "apps.shop.tls.check: must be true or false"),
    (app(tls={"check": False}), "apps.shop.tls.check: belongs to mode: acme, and mode is selfsigned"),
    (app(tls={"mode": "files"}), "apps.shop.tls.certificate: is missing"),
    (app(tls={"mode": "files", "certificate": "x.pem"}), "apps.shop.tls.key: is missing"),
    (app(tls={"mode": "acme", "certificate": "x.pem"}), "apps.shop.tls.certificate: belongs to mode: files"),
    (app(tls={"mode": "acme", "key": "x.pem"}), "apps.shop.tls.key: belongs to mode: files, and mode is acme"),
    *(
        (app(tls={"mode": "files", "certificate": "x.pem", "key": bad}), "apps.shop.tls.key: must be")
        for bad in ("", "a\nb.pem", "$(id).pem", "x;y.pem", "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49", "x" * 256 + ".pem", 1)
    ),
]


@pytest.mark.parametrize(("apps", "message"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_named(apps_filter: ModuleType, apps: dict[str, Any], message: str) -> None:
    assert message in "\n".join(apps_filter.apps_problems(apps))
    with pytest.raises(AnsibleFilterError):
        apps_filter.apps_complete(apps)


def test_all_problems_are_told_at_once(apps_filter: ModuleType) -> None:
    problems = apps_filter.apps_problems({"shop": {"wsgi": 1, "domain": "x", "health": {"path": "x"}}})
    assert len(problems) == 5


@pytest.mark.parametrize("value", ["p4ssw0rd\0", ["p4ssw0rd\0"], {"A": "p4ssw0rd\0"}])
def test_no_value_is_shown(apps_filter: ModuleType, value: Any) -> None:
    assert "p4ssw0rd" not in "\n".join(apps_filter.apps_problems(app(settings={"KEY": value})))


@pytest.mark.parametrize(
    "apps",
    [
        app(),
        {"a": GOOD},
        app(domains=["xn--mnchen-3ya.example", "a.b.c.d.example.com"]),
        app(settings={"A": "\u0001 {{ x }} %$`\"'\\\n", "B": 1, "C": None, "D": [True, 1.5], "E": {"F": ""}}),
        app(env={"A": 'x\n"y" \\ $z %h', "_B1": ""}),
        app(wsgi='shop.web:create_app("production")', release_command="flask db upgrade -m 'x y'"),
        app(python="3.12"),
        app(python="3.8.20"),
        app(python="/usr/local/bin/python3.12"),
        app(static={}, shared=["instance", "var/uploads"], tls={}),
        {f"app-{n}": {**GOOD, "domains": [f"a{n}.example.com"]} for n in range(40)},
    ],
)
def test_what_is_right_passes(apps_filter: ModuleType, apps: dict[str, Any]) -> None:
    assert apps_filter.apps_problems(apps) == []


def test_defaults_are_filled_in_at_every_depth(apps_filter: ModuleType) -> None:
    complete = apps_filter.apps_complete(app(health={"path": "/healthz"}, static={}))["shop"]
    assert complete["health"] == {"path": "/healthz", "status": 200, "text": "", "timeout": 30}
    assert complete["static"] == {"url": "/static", "path": "static"}
    assert complete["server"]["processes"] == 2
    assert "static" not in apps_filter.apps_complete(app())["shop"]


def test_the_schema_describes_every_key(apps_filter: ModuleType) -> None:
    def check(options: dict[str, Any]) -> None:
        for name, option in options.items():
            assert option["description"], name
            assert option["type"] in {"str", "int", "dict", "list", "bool"}
            assert option.get("format", "text") in FORMATS
            check(option.get("options", {}))

    check(apps_filter.schema())
    assert yaml.safe_dump(apps_filter.schema())


def test_the_pythons_to_provide_are_the_versions_that_apps_name(apps_filter: ModuleType) -> None:
    named = {"a": "3.13", "b": "3.12.9", "c": "3.13", "d": "/usr/bin/python3", "e": ""}
    apps = {name: {**GOOD, "python": python} for name, python in named.items()}
    apps |= {"f": GOOD, "g": {"state": "absent", "python": "3.8"}}
    assert apps_filter.apps_pythons(apps) == ["3.12.9", "3.13"]
    assert apps_filter.apps_pythons({}) == []
