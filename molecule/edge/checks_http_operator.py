"""What an operator does to nginx: maintenance, a word that is wrong, variables of the host."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).resolve().parent
SHOP, HELLO = "shop.localhost", "hello.localhost"
FOLDER = "/etc/nginx/apps"


def extra(path: Path, **changes: dict[str, Any]) -> list[str]:
    """The scenario's apps, some of them changed, as arguments for a playbook."""
    apps = copy.deepcopy(yaml.safe_load((HERE / "vars/apps.yml").read_text()))["apps"]
    for name, change in changes.items():
        apps[name] |= change
    path.write_text(json.dumps({"apps": apps}))
    return ["-e", f"@{path}"]


@pytest.fixture
def apps(tmp_path: Path) -> list[str]:
    return extra(tmp_path / "apps.json")


def state(vps: Any) -> str:
    return str(vps.run("sh", "-c", "cd /etc/nginx; find . -type f | sort | xargs md5sum"))


def test_maintenance_closes_one_app_and_survives_a_run(vps: Any, apps: list[str]) -> None:
    page = "Back on <Monday>"
    on = ["-e", "app=shop", "-e", "state=on", "-e", json.dumps({"message": page})]
    try:
        assert vps.playbook("playbooks/maintenance.yml", *apps, *on).returncode == 0
        for path in ("/headers", "/static/shop.css", "/nothing-there", "/.slipway/404.html"):
            answer = vps.https(SHOP, path)
            assert answer.status == 503
            assert answer.headers["retry-after"] == "120"
            assert answer.headers["x-maintenance"] == "yes"
            assert answer.headers["strict-transport-security"]
            assert "Back on &lt;Monday&gt;" in answer.body
        assert vps.https(SHOP, "/body", "--data-binary", "x").status == 503
        assert vps.https(HELLO).status == 200
        challenge = "/var/lib/slipway/challenges/.well-known/acme-challenge"
        vps.run("sh", "-c", f"mkdir -p {challenge} && echo token >{challenge}/during")
        assert vps.http(SHOP, "/.well-known/acme-challenge/during").body == "token\n"
        assert "changed=0" in vps.playbook("playbooks/maintenance.yml", *apps, *on).stdout
        done = vps.playbook("site.yml", *apps)
        assert done.returncode == 0, done.stdout
        assert vps.https(SHOP, "/headers").status == 503
        visitor = vps.run("sh", "-c", "tail -1 /var/log/nginx/access.log").split()[0]
        allowed = vps.playbook("playbooks/maintenance.yml", *apps, *on, "-e", f"allow={visitor}")
        assert allowed.returncode == 0, allowed.stdout
        assert vps.https(SHOP, "/headers").status == 200
        assert "There is nothing here" in vps.https(SHOP, "/static/nothing-there.css").body
    finally:
        done = vps.playbook("playbooks/maintenance.yml", *apps, "-e", "app=shop", "-e", "state=off")
    assert done.returncode == 0, done.stdout
    assert vps.https(SHOP, "/headers").status == 200


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([], "say which app and what"),
        (["-e", "app=shop"], "say which app and what"),
        (["-e", "app=shopp", "-e", "state=on"], "say which app and what"),
        (["-e", "app=shop", "-e", "state=on", "-e", "allow=10.0.0.0/8"], "takes addresses, no networks"),
    ],
)
def test_maintenance_asks_back(vps: Any, apps: list[str], asked: list[str], told: str) -> None:
    refused = vps.playbook("playbooks/maintenance.yml", *apps, *asked)
    assert refused.returncode != 0
    assert told in refused.stdout + refused.stderr
    assert vps.https(SHOP, "/headers").status == 200


@pytest.mark.parametrize(
    ("snippet", "told"),
    [
        ({"server": "locaton /x { return 204; }"}, 'unknown directive "locaton"'),
        ({"server": "}\nserver { listen 443 ssl; server_name hello.localhost;"}, 'unexpected "}"'),
        ({"http": "map $a $b {"}, "unexpected end of file"),
    ],
)
def test_a_snippet_that_nginx_refuses_holds_up_nobody_else(
    vps: Any, tmp_path: Path, apps: list[str], snippet: dict[str, str], told: str
) -> None:
    before, release = vps.run("md5sum", f"{FOLDER}/../conf.d/shop.conf"), vps.release("hello")
    other = {"env": {"GREETING": f"Hello beside {len(told)}"}, "http": {"headers": {"X-New": "yes"}}}
    run = vps.playbook("site.yml", *extra(tmp_path / "bad.json", shop={"nginx_snippets": snippet}, hello=other))
    try:
        assert run.returncode != 0
        assert "nginx refuses what is new in the configuration of shop" in run.stdout
        assert told in run.stdout
        assert f"{FOLDER}/shop.{next(iter(snippet))}.conf:" in run.stdout
        # All else is done.
        assert vps.release("hello") != release
        assert vps.https(HELLO).headers["x-new"] == "yes"
        # The shop goes on as it was.
        assert vps.run("md5sum", f"{FOLDER}/../conf.d/shop.conf") == before
        assert vps.https(SHOP, "/snippet?colour=green").body == "leaf"
        vps.run("nginx", "-t")
    finally:
        mended = vps.playbook("site.yml", *apps)
    assert mended.returncode == 0, mended.stdout
    assert "x-new" not in vps.https(HELLO).headers


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("nginx_client_max_body_size=10mb", "nginx_client_max_body_size: must be a size such as"),
        ("nginx_worker_connections=0", "nginx_worker_connections: must be from 64"),
        ("nginx_tls_profile=old", "nginx_tls_profile: must be one of intermediate, modern"),
        ('{"nginx_load_balancers": ["10.0.0.0/8; evil on"]}', "nginx_load_balancers[0]: must be an address"),
        ("nginx_certificates_directory=/nowhere", "cannot load certificate"),
    ],
)
def test_a_variable_that_nginx_refuses_changes_nothing(vps: Any, apps: list[str], variable: str, told: str) -> None:
    before = state(vps)
    refused = vps.playbook("site.yml", *apps, "-e", variable)
    assert refused.returncode != 0
    assert told in refused.stdout
    assert state(vps) == before
    assert vps.https(SHOP, "/headers").status == 200


def test_a_load_balancer_is_believed_and_nobody_else(vps: Any, apps: list[str]) -> None:
    forged = ["--header", "X-Forwarded-For: 203.0.113.9"]
    direct = json.loads(vps.https(SHOP, "/headers", *forged).body)["x-forwarded-for"]
    assert direct != "203.0.113.9"
    named = {"nginx_load_balancers": [direct], "nginx_access_log": "json"}
    assert vps.playbook("site.yml", *apps, "-e", json.dumps(named)).returncode == 0
    try:
        seen = vps.https(SHOP, "/headers?balanced", *forged)
        assert json.loads(seen.body)["x-forwarded-for"] == "203.0.113.9"
        # Only the last of a chain is the balancer's word.
        chain = ["--header", "X-Forwarded-For: 198.51.100.1, 203.0.113.9"]
        assert json.loads(vps.https(SHOP, "/headers", *chain).body)["x-forwarded-for"] == "203.0.113.9"
        wait = "for i in $(seq 100); do grep balanced /var/log/nginx/access.log && exit; sleep 0.1; done; exit 1"
        line = json.loads(vps.run("sh", "-c", wait))
        assert (line["remote_addr"], line["status"], line["uri"]) == ("203.0.113.9", 200, "/headers?balanced")
        assert float(line["upstream_response_time"]) >= 0
        assert len(line["request_id"]) == 32
    finally:
        mended = vps.playbook("site.yml", *apps)
    assert mended.returncode == 0, mended.stdout


def test_no_hash_of_a_password_is_shown(vps: Any, tmp_path: Path, apps: list[str]) -> None:
    digest = "$6$othersalt$" + "x" * 86
    changed = extra(tmp_path / "changed.json", private={"access": {"users": {"ada": digest}}})
    told = vps.playbook("site.yml", *changed, "--check", "--diff", "-vvv").stdout
    assert f"{FOLDER}/private.users" in told
    assert digest not in told
    assert "saltsalt" not in told
    plain = extra(tmp_path / "plain.json", private={"access": {"users": {"ada": "correct horse battery"}}})
    refused = vps.playbook("site.yml", *plain).stdout
    assert "apps.private.access.users.ada: must be the hash of a password" in refused
    assert "battery" not in refused
    assert "changed=0" in vps.playbook("site.yml", *apps).stdout


BAD: dict[str, dict[str, Any]] = {
    "http.max_body_size": {"http": {"max_body_size": "1g;"}},
    "http.timeout": {"http": {"timeout": 0}},
    "http.rate": {"http": {"rate": "10/s burst=9"}},
    "http.connections": {"http": {"connections": "all"}},
    "http.websocket": {"http": {"websocket": "on"}},
    "http.hsts.preload": {"http": {"hsts": {"preload": True}}},
    "http.headers.X-A": {"http": {"headers": {"X-A": "$host"}}},
    "http.headers.X A": {"http": {"headers": {"X A": "b"}}},
    "http.paths./a b": {"http": {"paths": {"/a b": {"timeout": 5}}}},
    "http.paths./a;b": {"http": {"paths": {"/a;b": {"timeout": 5}}}},
    "http.paths./a{b": {"http": {"paths": {"/a{b": {"timeout": 5}}}},
    "http.paths./static": {"static": {}, "http": {"paths": {"/static": {"timeout": 5}}}},
    "http.path": {"http": {"path": {}}},
    "uploads.url": {"uploads": {"url": "/up loads"}},
    "uploads.path": {"uploads": {"path": "../instance"}},
    "access.allow[0]": {"access": {"allow": ["office"]}},
    "access.users.a:b": {"access": {"users": {"a:b": "$6$othersalt$" + "x" * 86}}},
    "static.url": {"static": {"url": "/static/"}},
    "domains[0]": {"domains": ["shop.localhost;"]},
    "nginx_snippets.location": {"nginx_snippets": {"location": "x"}},
}


def test_twenty_values_are_refused_each_by_its_key(vps: Any, tmp_path: Path) -> None:
    before = state(vps)
    listed = {f"shop-{number}": change for number, change in enumerate(BAD.values())}
    good = {"source": {"path": "x"}, "wsgi": "x:x"}
    apps = {name: {**good, "domains": [f"{name}.localhost"], **change} for name, change in listed.items()}
    (tmp_path / "bad.json").write_text(json.dumps({"apps": apps}))
    refused = vps.playbook("site.yml", "-e", f"@{tmp_path / 'bad.json'}")
    assert refused.returncode != 0
    assert f"Nothing was changed: {len(BAD)} to put right" in refused.stdout
    for number, key in enumerate(BAD):
        assert f" apps.shop-{number}.{key}: " in refused.stdout
    assert state(vps) == before
