"""`make env`: what it writes, and what it refuses."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
import yaml

from tests.conftest import load
from tests.environment.conftest import Checkout

# Each runs whole playbooks.
pytestmark = pytest.mark.playbook

ROOT = Path(__file__).resolve().parents[2]
environment = load("roles/environment/filter_plugins/environment.py")
apps = load("roles/preflight/filter_plugins/apps.py")
access = load("roles/preflight/filter_plugins/access.py")


def test_an_environment_is_complete(two: Checkout) -> None:
    hosts = yaml.safe_load((two.root / "inventory/staging.yml").read_text())["staging"]["hosts"]
    assert [host["ansible_host"] for host in hosts.values()] == ["198.51.100.7"]
    variables = yaml.safe_load((two.root / "group_vars/staging/main.yml").read_text())
    assert apps.apps_problems(variables["apps"]) == []
    assert variables["apps"]["guestbook"]["domains"] == ["staging.example.com"]
    assert variables["apps"]["guestbook"]["settings"]["NOINDEX"] is True
    assert "NOINDEX" not in (two.root / "group_vars/production/main.yml").read_text()
    password = two.root / ".slipway/vault/staging.password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert stat.S_IMODE(password.parent.stat().st_mode) == 0o700
    assert len(password.read_text().strip()) == 48


def test_the_vault_holds_fresh_secrets_under_the_environment_s_own_id(two: Checkout) -> None:
    texts = []
    for name in ("staging", "production"):
        vault = two.root / f"group_vars/{name}/vault.yml"
        assert vault.read_text().startswith(f"$ANSIBLE_VAULT;1.2;AES256;{name}\n")
        result = two.run("ansible-vault", "view", vault.relative_to(two.root))
        assert result.returncode == 0, result.stderr
        texts.append(next(line for line in result.stdout.splitlines() if line.startswith("vault_")))
    key, _, secret = texts[0].partition(": ")
    assert key == "vault_guestbook_secret_key"
    assert secret.startswith('!unsafe "')
    assert len(secret) == 64 + len('!unsafe ""')
    assert texts[0] != texts[1]


def test_an_older_vault_gets_a_password_for_backups_and_keeps_all_else(two: Checkout) -> None:
    vault = two.root / "group_vars/staging/vault.yml"
    held = vault.read_bytes()
    older = '# ours\nvault_guestbook_secret_key: !unsafe "{{ not a template }}"\nvault_more: {a: [1, 2]}\n'
    try:
        two.write_vault("staging", older)
        result = two.environment("staging")
        assert result.returncode == 0, result.stdout
        text = two.run("ansible-vault", "view", "group_vars/staging/vault.yml").stdout
        assert text.startswith(older)
        password = re.findall(r'^vault_backup_password: !unsafe "(\w{64})"$', text, re.MULTILINE)
        assert len(password) == 1
        assert password[0] not in result.stdout
        assert vault.read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;staging\n")
        assert stat.S_IMODE(vault.stat().st_mode) == 0o600
        after = vault.read_bytes()
        assert two.environment("staging").returncode == 0
        assert vault.read_bytes() == after
    finally:
        vault.write_bytes(held)


def test_only_one_line_of_ansible_s_configuration_changes(two: Checkout) -> None:
    before = (ROOT / "ansible.cfg").read_text().splitlines()
    after = (two.root / "ansible.cfg").read_text().splitlines()
    client = "roles/environment/files/vault-client.py"
    [changed] = [line for line in after if line not in before]
    assert changed == f"vault_identity_list = local@{client}, staging@{client}, production@{client}"
    assert len(before) == len(after)


def test_nothing_is_ever_overwritten(two: Checkout) -> None:
    held = {name: (two.root / name).read_bytes() for name in two.files()}
    assert two.environment("staging").returncode == 0
    refused = two.environment("staging", "203.0.113.9", "other.example.com")
    assert refused.returncode != 0
    assert "inventory/staging.yml is already there" in refused.stdout
    assert {name: (two.root / name).read_bytes() for name in two.files()} == held


def test_the_admin_gets_in_with_the_key_that_was_named(bare: Checkout, tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPmXjTtSbd7z1wVdvvYO3IhNOiLprxuCPZT4ShtIJQtP ada@laptop\n")
    words = {"name": "production", "host": "198.51.100.7", "domain": "shop.example.com", "key": str(key)}
    given = [word for name, value in words.items() for word in ("-e", f"environment_{name}={value}")]
    result = bare.run("ansible-playbook", "playbooks/environment.yml", *given)
    assert result.returncode == 0, result.stdout
    assert "playbooks/bootstrap.yml -i inventory/production.yml --ask-pass" in result.stdout
    variables = yaml.safe_load((bare.root / "group_vars/production/main.yml").read_text())
    assert variables["users_admins"] == {"admin": {"keys": [key.read_text().strip()]}}
    assert access.access_problems(variables) == []
    shared = yaml.safe_load((bare.root / "inventory/production.yml").read_text())["production"]["vars"]
    assert shared["ansible_user"] == "admin"
    assert "production.known_hosts.txt" in shared["ansible_ssh_common_args"]


def test_a_key_that_is_not_there_writes_nothing(bare: Checkout) -> None:
    before = bare.files()
    words = {"name": "production", "host": "198.51.100.7", "domain": "shop.example.com", "key": "/nowhere.pub"}
    given = [word for name, value in words.items() for word in ("-e", f"environment_{name}={value}")]
    result = bare.run("ansible-playbook", "playbooks/environment.yml", *given)
    assert "KEY=/nowhere.pub: there is no such file" in result.stdout
    assert bare.files() == before


def test_a_missing_vault_alone_is_made_again(two: Checkout) -> None:
    (two.root / "group_vars/staging/vault.yml").unlink()
    assert two.environment("staging").returncode == 0
    assert two.run("ansible-vault", "view", "group_vars/staging/vault.yml").returncode == 0


def test_a_password_that_is_already_at_hand_is_used(bare: Checkout) -> None:
    bare.variables["SLIPWAY_VAULT_PASSWORD_CI"] = "from-the-pipeline"
    result = bare.environment("ci", "198.51.100.7", "ci.example.com")
    assert result.returncode == 0, result.stdout
    assert not (bare.root / ".slipway/vault/ci.password").exists()
    assert bare.run("ansible-vault", "view", "group_vars/ci/vault.yml").returncode == 0
    assert "from-the-pipeline" not in result.stdout


def test_a_refusal_writes_nothing(bare: Checkout) -> None:
    before = bare.files()
    result = bare.environment("../x", "[2001:db8::7]:22", "a_b.example.com")
    assert result.returncode != 0
    for word in ("Nothing was written", "NAME=../x:", "HOST=[2001:db8::7]:22:", "DOMAIN=a_b.example.com:"):
        assert word in result.stdout
    assert bare.files() == before


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Prod",
        "all",
        "ungrouped",
        "localhost",
        "../x",
        "a/b",
        "a b",
        "a-b",
        "1a",
        "_a",
        "ä",
        "a\n",
        "a" * 32,
        "{{x}}",
    ],
)
def test_bad_names(name: str) -> None:
    [problem] = environment.environment_problems(name, "198.51.100.7", "shop.example.com", {})
    assert problem.startswith(f"NAME={name}: ")


@pytest.mark.parametrize(
    "host",
    ["", "198.51.100.7:22", "[2001:db8::7]", "root@vps", "300.1.1.1", "1.2.3", "0.0.0.0", "::", "fe80::1%eth0",  # noqa: S104
     "-rf", "a_b.example.com", "vps.example.com.", "a b", "a;b", "$(id)", "http://vps", "a" * 64, "a\n", "ä.example"],
)  # fmt: skip
def test_bad_hosts(host: str) -> None:
    [problem] = environment.environment_problems("staging", host, "shop.example.com", {})
    assert problem.startswith(f"HOST={host}: ")


DOMAINS = [
    "", "shop", "shop.example.com:8443", "https://shop.example.com", "shop.example.com/", "*.example.com",
    "shop.example.com.", "a_b.example.com", "Shop.example.com", "198.51.100.7", "2001:db8::7", "-a.example.com",
    "a..example.com", "a b.example.com", "a\n.example.com", "ä.example.com", f"{'a' * 64}.example.com",
    ".".join(["a" * 60] * 5), "shop.example.com;", "{{x}}.example.com",
]  # fmt: skip


@pytest.mark.parametrize("domain", DOMAINS)
def test_bad_domains(domain: str) -> None:
    [problem] = environment.environment_problems("staging", "198.51.100.7", domain, {})
    assert problem.startswith(f"DOMAIN={domain}: ")


@pytest.mark.parametrize(
    "domain", [*DOMAINS[1:], "shop.example.com", "xn--bcher-kva.example", "a.localhost", "1.example"]
)
def test_what_is_accepted_here_is_what_preflight_accepts(domain: str) -> None:
    app = {"source": {"path": "app"}, "wsgi": "wsgi:app", "domains": [domain]}
    here = environment.environment_problems("staging", "198.51.100.7", domain, {})
    assert bool(here) == bool(apps.apps_problems({"shop": app}))


@pytest.mark.parametrize("host", ["198.51.100.7", "2001:db8::7", "vps", "vps-1.example.com", "127.0.0.1"])
def test_good_hosts(host: str) -> None:
    assert environment.environment_problems("staging_2", host, "shop.example.com", {}) == []
