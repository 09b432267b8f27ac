"""The real role, on one host a bad input: each is refused with its key named, and no task after it runs.

One run of ansible-playbook for all. molecule/default/checks_preflight.py shows on a Debian that nothing changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.playbook
GOOD: dict[str, Any] = {"source": {"path": "app"}, "wsgi": "wsgi:app", "domains": ["shop.example.com"]}
LABEL = "a" * 64


def app(**keys: Any) -> dict[str, Any]:
    return {"apps": {"shop": {**GOOD, **keys}}}


def named(name: Any) -> dict[str, Any]:
    return {"apps": {name: GOOD}}


def source(**keys: Any) -> dict[str, Any]:
    return app(source=keys)


# What a host is given, and the key that has to be named.
BAD: list[tuple[dict[str, Any], str]] = [
    ({"apps": {}}, "apps:"),
    ({"apps": "shop"}, "apps:"),
    *(
        (named(name), f"apps.{name}:")
        for name in ("../x", "-rf", "root", "%i", "$(id)", "a b", "A", "9", "www-data", LABEL)
    ),
    *(
        (app(domains=[domain]), "apps.shop.domains[0]:")
        for domain in (
            "",
            "*",
            "*.example.com",
            "a\nb.example.com",
            "a\rb.example.com",
            "a b.example.com",
            "a;b.example.com",
            "{a}.example.com",
            "$host.example.com",
            '"a".example.com',
            "a\\b.example.com",
            "..",
            "-a.example.com",
            f"{LABEL}.example.com",
            ".".join(["a" * 49] * 6),
            "a_b.example.com",
            "münchen.example",
            "192.0.2.1:80",
            "shop.example.com.",
            "[2001:db8::1]",
            "~^shop",
            "HTTP://shop.example.com",
            80,
        )
    ),
    (app(domains=["a.example.com", "A.example.com".lower()]), "apps.shop.domains[1]:"),
    ({"apps": {"one": GOOD, "two": GOOD}}, "apps.two.domains[0]:"),
    (app(domains=["{{ nosuch }}"]), "apps.shop.domains[0]:"),
    (app(healt={}), "apps.shop.healt:"),
    (app(health={"path": "/ x"}), "apps.shop.health.path:"),
    (app(health={"path": "/\r\nHost: x"}), "apps.shop.health.path:"),
    (app(health={"timeout": "30"}), "apps.shop.health.timeout:"),
    (source(git="--upload-pack=id", version="main"), "apps.shop.source.git:"),
    (source(git="ext::sh -c id", version="main"), "apps.shop.source.git:"),
    (source(git="file:///etc", version="main"), "apps.shop.source.git:"),
    (source(git="https://example.com/x", version="--output=/etc/x"), "apps.shop.source.version:"),
    (source(pip="ihatemoney"), "apps.shop.source.pip:"),
    (source(), "apps.shop.source:"),
    (app(wsgi="wsgi:app;id"), "apps.shop.wsgi:"),
    (app(requirements="../x"), "apps.shop.requirements:"),
    (app(static={"path": "/etc"}), "apps.shop.static.path:"),
    (app(static={"url": "/a;b"}), "apps.shop.static.url:"),
    (app(shared=["/"]), "apps.shop.shared[0]:"),
    (app(shared=["a", "a"]), "apps.shop.shared[1]:"),
    (app(shared=["a/b", "a"]), "apps.shop.shared[0]: is inside a"),
    *((app(env={name: "x"}), f"apps.shop.env.{name}:") for name in ("1A", "A B", "A=B", "LD_PRELOAD", "PYTHONPATH")),
    (app(env={"A": "x" * 128 * 1024}), "apps.shop.env.A:"),
    (app(env={"A": 0o123}), "apps.shop.env.A:"),
    (app(settings={"MAIL_PASSWORD": "hunter2hunter2"}), "apps.shop.settings.MAIL_PASSWORD:"),
    (app(release_command="a\nb"), "apps.shop.release_command:"),
    (app(server={"processes": 0}), "apps.shop.server.processes:"),
    (app(python=3.12), "apps.shop.python:"),
    (app(workers={"../x": "id"}), "apps.shop.workers.../x:"),
    (app(timers={"a": {"command": "id", "calendar": "daily\nExecStart=id"}}), "apps.shop.timers.a.calendar:"),
    (app(http={"max_body_size": "10mb"}), "apps.shop.http.max_body_size:"),
    (app(http={"max_body_size": "1g;"}), "apps.shop.http.max_body_size:"),
    (app(http={"max_body_size": "-1"}), "apps.shop.http.max_body_size:"),
    ({"nginx_worker_conections": 8}, "nginx_worker_conections:"),
    ({"ngnix_worker_connections": 8192}, "ngnix_worker_connections:"),
    ({"https_public_prot": 443}, "https_public_prot:"),
    ({"nginx_hsts_max_age": 1}, "nginx_hsts_max_age: is now called"),
    ({"https_public_port": 0}, "https_public_port:"),
    ({"https_public_port": 65536}, "https_public_port:"),
    ({"https_public_port": "80;"}, "https_public_port:"),
    ({"nginx_client_max_body_size": "10mb"}, "nginx_client_max_body_size:"),
    ({"nginx_worker_connections": ""}, "nginx_worker_connections:"),
    ({"nginx_worker_connections": None}, "nginx_worker_connections:"),
    ({"nginx_worker_connections": "{{ nosuch }}"}, "nginx_worker_connections:"),
    ({"python_versions": "3.12"}, "python_versions:"),
    ({"python_versions": ["latest"]}, "python_versions[0]:"),
    ({"apps_root": "/"}, "apps_root:"),
    ({"apps_root": "/etc"}, "apps_root:"),
    ({"apps_root": "srv/../etc"}, "apps_root:"),
    ({"host_packages": ["-o=x"]}, "host_packages[0]:"),
    ({"release_keep": -1}, "release_keep:"),
    ({"slipway_acknowledged": 0.1}, "slipway_acknowledged:"),
    ({"vault_shop_secret_key": "changeme"}, "vault_shop_secret_key:"),
    ({"vault_shop_token": 12345678}, "vault_shop_token:"),
    ({"shop_password": "hunter2hunter2"}, "shop_password: is a secret in plain text"),
    (app(database="mysql"), "apps.shop.database:"),
    (app(database="postgresql") | {"postgresql_max_connections": 20}, "postgresql_max_connections: is 20"),
    (app(database="postgresql", postgresql={"connections": 200}), "postgresql_max_connections: is 100"),
    ({**app(), "postgresql_memory": 200}, "postgresql_memory:"),
    ({**app(), "postgresql_rules": ["local all all trust\nhost all all all trust"]}, "postgresql_rules[0]:"),
    ({**app(), "postgresql_packages": ["-o x"]}, "postgresql_packages[0]:"),
    ({"backup_password": "{{ none_such | default('') }}"}, "vault_backup_password: is missing"),
    ({"backup_repository": "backups"}, "backup_repository: must be a directory on the host"),
    ({"backup_repository": "/var/../etc"}, "backup_repository: must be a directory on the host"),
    ({"backup_repository": "sftp://b@host//x; id"}, "backup_"),
    ({"backup_repository": "rest:https://me:word@host/x"}, "backup_repository: holds a password"),
    ({"backup_repository": "sftp://b@host//x", "backup_ssh_host_key": "ssh-ed25519 AAAA"}, "vault_backup_ssh_key: is"),
    ({"backup_keep_last": 0}, "backup_keep_last: must be"),
    ({"backup_drill_at": "whenever; id"}, "backup_drill_at: must be a time as systemd writes it"),
]

FINE: dict[str, dict[str, Any]] = {
    "one-letter": {"apps": {"a": GOOD}},
    "longest-name": {"apps": {"a" * 31: GOOD}},
    "punycode": app(domains=["xn--mnchen-3ya.example", "xn--80ak6aa92e.example"]),
    "longest-label": app(domains=["a" * 63 + ".example.com"]),
    "ipv6-host": {"ansible_host": "2001:db8::7"},
    "forty-apps": {"apps": {f"app-{n}": {**GOOD, "domains": [f"a{n}.example.com"]} for n in range(40)}},
    "odd-values": app(env={"A": "a\\", "B": '"', "C": "%h $x", "D": "a\nb"}, settings={"A": "\u2028 %i"}),
    "own-variables": {"shop_domain": "x", "team": ["a"]},
    "text-for-numbers": {"nginx_worker_connections": "1024", "release_keep": "3"},
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the role said of each host; hosts that it let through have said `passed`."""
    folder = tmp_path_factory.mktemp("inputs")
    given = {f"bad{number}": variables for number, (variables, _) in enumerate(BAD)} | FINE
    (folder / "host_vars").mkdir()
    for name, variables in given.items():
        (folder / "host_vars" / f"{name}.yml").write_text(yaml.safe_dump({**app(), **variables}, allow_unicode=True))
    # The very wiring, below the hosts' own variables.
    (folder / "group_vars").symlink_to(ROOT / "group_vars")
    hosts, secrets = json.dumps(dict.fromkeys(given)), "{vault_backup_password: !unsafe kZ8wQ2vX5nT7kZ8w}"
    (folder / "hosts.yml").write_text(f"all: {{hosts: {hosts}, vars: {secrets}}}\n")
    task = "{name: Change something, ansible.builtin.debug: {msg: passed}}"
    play = f"[{{hosts: all, connection: local, gather_facts: false, roles: [preflight], tasks: [{task}]}}]\n"
    (folder / "play.yml").write_text(play)
    (folder / "ansible.cfg").write_text(f"[defaults]\nroles_path = {ROOT}/roles\ninject_facts_as_vars = False\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")} | {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_FORKS": "8",
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "play.yml"]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stdout[-3000:] + result.stderr
    answers: dict[str, str] = {}
    for told in json.loads(result.stdout)["plays"][0]["tasks"]:
        answers |= {host: str(answer.get("msg", "")) for host, answer in told["hosts"].items()}
    return answers


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_bad_input_is_refused_with_its_key(said: dict[str, str], number: int) -> None:
    message = said[f"bad{number}"]
    problems = [line for line in message.splitlines() if line.startswith("    - ")]
    assert message.startswith(f"Nothing was changed: {len(problems)} to put right"), (BAD[number], message)
    # One mistake is not told as several.
    assert all(BAD[number][1] in line for line in problems), (BAD[number], message)
    assert "hunter2" not in message


@pytest.mark.parametrize("name", FINE)
def test_an_odd_but_right_input_passes(said: dict[str, str], name: str) -> None:
    assert said[name] == "passed"
