"""What preflight calls no secret, before anything on a host is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from input_rules.secrets import secret_problems

from tests.conftest import load

ROOT = Path(__file__).resolve().parents[2]
rules = load("roles/preflight/files/secret_rules.py")
GOOD = "kJ8#dn2!xcv0KJdn29as8dnXX01mzQ7pLw"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (123456789, "must be text and is int"),
        (True, "must be text and is bool"),
        (None, "must be text and is nonetype"),
        ("sh0rt", "shorter than 8"),
        ("abc\0defghij", "NUL"),
        ("abc\ud800defghij", "surrogate"),
        ("changeme", "placeholder"),
        ("please-Change_Me!", "placeholder"),
        ("Password1234", "placeholder"),
        ("example: 64 random letters and digits", "placeholder"),
        ("xxxxxxxxxxxxxxxx", "placeholder"),
    ],
)
def test_weak_secrets(value: object, said: str) -> None:
    problem = rules.weakness("vault_shop_mail_password", value)
    assert said in problem
    assert str(value) not in problem


@pytest.mark.parametrize("name", ["vault_shop_secret_key", "vault_secret_key", "vault_shop_secret_key_fallbacks[0]"])
def test_flask_s_keys_are_long(name: str) -> None:
    assert "shorter than 32" in rules.weakness(name, GOOD[:31])
    assert rules.weakness(name, GOOD) is None


@pytest.mark.parametrize("value", ["12345678901", "-rf /tmp/x", "{{ 1 + 1 }}xy", "a\nb'c\"$d%e\\", "пароль-это-тайна"])
def test_odd_secrets_are_secrets(value: str) -> None:
    assert rules.weakness("vault_shop_token", value) is None


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=16))
def test_any_text_can_be_carried(value: str) -> None:
    assert rules.text_problem(value) is None


def test_plain_secrets_have_secret_names() -> None:
    apps = {
        "shop": {
            "settings": {"SECRET_KEY": GOOD, "MAIL": {"PASSWORD": "x"}, "OK_PASSWORD": "{{ vault_x }}", "TOKENS": 3},
            "source": {"key": "-----BEGIN OPENSSH PRIVATE KEY-----\n…", "host_key": "ssh-ed25519 AAAA"},
            "env": {"API_TOKEN": "y", "EMPTY_PASSWORD": "", "PASSWORD_RESET": "on"},
        }
    }
    found = list(rules.plain("apps", apps))
    assert found == [
        "apps.shop.settings.SECRET_KEY",
        "apps.shop.settings.MAIL.PASSWORD",
        "apps.shop.source.key",
        "apps.shop.env.API_TOKEN",
    ]


def test_a_run_is_refused_with_every_key_and_no_value(tmp_path: Path) -> None:
    variables = tmp_path / "group_vars" / "staging"
    variables.mkdir(parents=True)
    secrets = [
        f'vault_good: !unsafe "{GOOD}"',
        f"vault_templated: \"{GOOD}{{{{ lookup('pipe', 'touch {tmp_path}/ran') }}}}\"",
        f'vault_trusted: "{GOOD}"',
        "vault_number: 0123",
        'vault_marked_number: !unsafe "01234567"',
        'vault_quoted_number: "1234567890"',
        'vault_nul: !unsafe "abcdef\\0abcdef"',
        'vault_short: !unsafe "s3cr3t!"',
        f'vault_list: [!unsafe "{GOOD}", "{GOOD}"]',
    ]
    (variables / "vault.yml").write_text("\n".join(secrets) + "\n")
    app = f"source: {{path: app}}, wsgi: 'a:b', domains: [a.example.com], settings: {{SECRET_KEY: '{GOOD}'}}"
    (variables / "main.yml").write_text(f"apps: {{shop: {{{app}}}}}\n")
    (tmp_path / "hosts.yml").write_text("staging: {hosts: {nowhere: {ansible_host: 192.0.2.1}}}\n")
    (tmp_path / "play.yml").write_text("[{hosts: all, gather_facts: false, roles: [preflight]}]\n")
    (tmp_path / "ansible.cfg").write_text(f"[defaults]\nroles_path = {ROOT}/roles\n")
    playbook = str(Path(sys.executable).parent / "ansible-playbook")
    command = [playbook, "-vvv", "--diff", "-i", "hosts.yml", "play.yml"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    said = " ".join(result.stdout.split())
    template = "would be taken for a template; put !unsafe before the quoted secret"
    for problem in (
        "Nothing was changed: 9 to put right",
        "group_vars/staging/main.yml - line 1: apps.shop.settings.SECRET_KEY: is a secret in plain text",
        "group_vars/staging/vault.yml - is not encrypted: ansible-vault encrypt --encrypt-vault-id staging",
        f"vault_templated: {template}",
        f"vault_trusted: {template}",
        "vault_number: must be text and is int; put it in quotes",
        "vault_marked_number: must be text and is int; put it in quotes, without !unsafe",
        "vault_nul: holds a NUL character",
        "vault_short: is shorter than 8 characters",
        f"vault_list[1]: {template}",
        "line 9: vault_list[1]",
    ):
        assert problem in said
    assert "vault_good" not in said
    assert "vault_quoted_number" not in said
    assert not [secret for secret in (GOOD, "abcdef", "s3cr3t!") if secret in result.stdout + result.stderr]
    assert not (tmp_path / "ran").exists()


def test_the_command_line_is_no_place_for_secrets() -> None:
    named = '{"apps": {"shop": {"settings": {"KEY": "{{ vault_named }}", "vault_named": 1}}}}'
    words = [f"vault_typed={GOOD} other=1", f'{{"vault_said": "{GOOD}"}}', "@vault_kept.yml", named]
    variables = dict.fromkeys(["vault_typed", "vault_said", "vault_kept", "vault_named"], GOOD)
    found = dict(secret_problems(variables, "vault_", words))
    assert sorted(found) == ["vault_said", "vault_typed"]
    assert all("is on the command line" in text and GOOD not in text for text in found.values())
