"""What ends up on a host, rendered by Ansible itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# Each runs whole playbooks.
pytestmark = pytest.mark.playbook

ROOT = Path(__file__).resolve().parents[2]
FILTERS = ":".join(map(str, ROOT.glob("roles/*/filter_plugins")))
SHOP = {
    "source": {"path": "app"},
    "wsgi": "shop:create_app('x')",
    "domains": ["shop.example.com", "www.shop.example.com"],
    "static": {"url": "/assets", "path": "web"},
    "server": {"processes": 3, "graceful_timeout": 20},
    "settings": {"SECRET_KEY": "s3cret"},
    "env": {"TOKEN": "s3cret"},
    "network": ["localhost", "10.0.0.0/8"],
    "limits": {"memory": "25%", "tasks": 100, "cpu_weight": 50},
    "redis": True,
    "redis_options": {"memory": "1G"},
}


def render(out: Path, debian: str, **variables: Any) -> dict[str, str]:
    out.mkdir()
    given = {"roles": str(ROOT / "roles"), "out": str(out), "debian": debian, "apps": {"shop": SHOP}, **variables}
    environment = {**os.environ, "ANSIBLE_FILTER_PLUGINS": FILTERS}
    command = ["ansible-playbook", str(Path(__file__).parent / "render.yml"), "-e", json.dumps(given)]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return {path.name: path.read_text() for path in out.iterdir()}


@pytest.fixture(scope="module")
def bookworm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return render(tmp_path_factory.mktemp("render") / "12", "12", nginx_https_public_port=8443)


@pytest.fixture(scope="module")
def trixie(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return render(tmp_path_factory.mktemp("render") / "13", "13", apps={"shop": {**SHOP, "database": "postgresql"}})


def test_http_2_is_said_as_each_nginx_wants_it(bookworm: dict[str, str], trixie: dict[str, str]) -> None:
    assert "listen 443 ssl http2;" in bookworm["app.conf"]
    assert "http2 on;" not in bookworm["app.conf"]
    assert "listen 443 ssl;" in trixie["app.conf"]
    assert trixie["app.conf"].count("http2 on;") == 2


def test_requests_follow_the_link(trixie: dict[str, str]) -> None:
    assert "server unix:/srv/shop/current/app.sock fail_timeout=0;" in trixie["app.conf"]


def test_nginx_s_includes_are_relative() -> None:
    # So that `nginx -t` can be asked about a copy: an absolute one would lead to the files that are in place already.
    for path in (ROOT / "roles/nginx/templates").rglob("*.j2"):
        assert not re.search(r"include\s+/", path.read_text()), path


def test_static_files_cannot_be_climbed_out_of(trixie: dict[str, str]) -> None:
    # Location and alias both end in a slash, or neither: else /assets../ leads out of the directory.
    assert re.search(r"location \^~ /assets/ \{[^{}]*\balias /srv/shop/current/static/;", trixie["app.conf"])


def test_redirects_go_to_the_canonical_domain_and_the_public_port(
    bookworm: dict[str, str], trixie: dict[str, str]
) -> None:
    for rendered, port in ((bookworm, ":8443"), (trixie, "")):
        targets = re.findall(r"return 308 (\S+);", rendered["app.conf"])
        assert targets == [f"https://shop.example.com{port}$request_uri"] * 2


def test_nothing_stands_before_a_challenge(trixie: dict[str, str]) -> None:
    for name in ("app.conf", "default.conf"):
        plain = trixie[name].partition("listen 80")[2].partition("listen 443")[0]
        assert "include snippets/slipway-challenges.conf;" in plain
        # What a server says outside its locations comes first, whatever the location says.
        outside = re.sub(r"location [^{]*\{[^}]*\}", "", plain)
        assert not re.search(r"^\s*(return|rewrite|if)\b", outside, re.MULTILINE), outside
    assert "root /var/lib/slipway/challenges;" in trixie["slipway-challenges.conf"]


def test_an_unknown_host_meets_no_app(trixie: dict[str, str]) -> None:
    for line in ("return 444;", "ssl_reject_handshake on;", "return 421;"):
        assert line in trixie["default.conf"]
    assert "proxy_pass" not in trixie["default.conf"]


@pytest.mark.parametrize("header", ["X-Forwarded-For $remote_addr", "X-Forwarded-Proto $scheme", 'Forwarded ""'])
def test_nothing_that_a_client_sent_passes_as_ours(trixie: dict[str, str], header: str) -> None:
    assert f"proxy_set_header {header};" in trixie["slipway-proxy.conf"]
    assert "proxy_add_x_forwarded_for" not in trixie["slipway-proxy.conf"]


def test_gunicorn_s_configuration_is_python_that_says_what_was_asked(trixie: dict[str, str]) -> None:
    config: dict[str, Any] = {}
    exec(trixie["app.conf.py"], config)  # noqa: S102 - it is code, and ours
    assert config["wsgi_app"] == "shop:create_app('x')"
    assert config["workers"] == 3
    assert config["graceful_timeout"] == 20


def test_the_last_worker_to_boot_says_so(trixie: dict[str, str], tmp_path: Path) -> None:
    config: dict[str, Any] = {}
    exec(trixie["app.conf.py"], config)  # noqa: S102 - it is code, and ours
    config["Path"] = lambda _path: tmp_path
    for pid in (7, 8, 9):
        assert not (tmp_path / "booted").exists()
        config["post_worker_init"](SimpleNamespace(pid=pid, cfg=SimpleNamespace(workers=3)))
    assert (tmp_path / "booted").exists()


def test_systemd_waits_longer_than_gunicorn(trixie: dict[str, str]) -> None:
    assert "TimeoutStopSec=30" in trixie["app@.service"]


@pytest.mark.parametrize(
    "line",
    [
        "User=shop", "NoNewPrivileges=yes", "ProtectSystem=strict", "ReadWritePaths=/srv/shop/shared", "PrivateTmp=yes",
        "CapabilityBoundingSet=", "SystemCallFilter=@system-service", "OOMPolicy=continue", "Type=notify",
        "TemporaryFileSystem=/srv:ro", "BindReadOnlyPaths=/srv/shop", "PrivateUsers=yes", "PrivateIPC=yes",
        "IPAddressDeny=any", "IPAddressAllow=localhost", "IPAddressAllow=10.0.0.0/8", "MemoryMax=25%", "TasksMax=100",
        "CPUWeight=50", "LimitCORE=0",
    ],
)  # fmt: skip
def test_an_app_runs_in_a_sandbox_of_its_own(trixie: dict[str, str], line: str) -> None:
    assert line in trixie["app@.service"].splitlines()


def test_only_the_web_server_may_connect(trixie: dict[str, str]) -> None:
    assert "SocketGroup=www-data" in trixie["app@.socket"]
    assert "SocketMode=0660" in trixie["app@.socket"]


def test_no_file_holds_a_setting(trixie: dict[str, str]) -> None:
    assert not [name for name, text in trixie.items() if "s3cret" in text]


def test_an_app_starts_after_its_redis_which_only_it_may_reach(trixie: dict[str, str]) -> None:
    assert "After=slipway-redis@shop.service" in trixie["app@.service"].splitlines()
    unit = trixie["slipway-redis@app.service"].splitlines()
    for line in ("User=redis-shop", "Group=shop", "RuntimeDirectory=redis-shop", "RuntimeDirectoryMode=0750",
                 "DynamicUser=yes", "PrivateNetwork=yes", "MemoryMax=2112M"):  # fmt: skip
        assert line in unit


def test_an_app_starts_after_its_database_and_only_then_sees_it(
    bookworm: dict[str, str], trixie: dict[str, str]
) -> None:
    for name in ("app@.service", "app.service"):
        assert "After=postgresql.service" in trixie[name].splitlines()
        assert "postgresql.service" not in bookworm[name]
        # One that is down at boot must not keep the app from starting: it answers, and recovers by itself.
        assert not re.search(r"(Requires|BindsTo)=.*postgresql", trixie[name])
    assert "/run/postgresql" not in trixie["app@.service"]
    assert re.search(r"^InaccessiblePaths=.* -/run/postgresql$", bookworm["app@.service"], re.MULTILINE)


def test_each_app_gets_into_its_own_database_as_its_own_user(bookworm: dict[str, str], trixie: dict[str, str]) -> None:
    def rules(text: str) -> list[str]:
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    by_socket = ["local all postgres peer", 'local "shop","shop.new","shop.drill" "shop" peer']
    clients = ("10.0.0.7/32", "2001:db8::7/128")
    # In quotes the + would be a part of a name, and nobody let in.
    by_network = [f'hostssl "blog","blog.new","blog.drill" +blog {client} scram-sha-256' for client in clients]
    by_network += [f'hostssl "postgres" +slipway.restore {client} scram-sha-256' for client in clients]
    assert rules(trixie["pg_hba.conf"]) == by_socket + by_network
    assert rules(bookworm["pg_hba.conf"]) == ["local all postgres peer"]
