"""The guard: what it finds before a commit, and that it never shows a value."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.environment.conftest import Checkout

# Each runs whole playbooks.
pytestmark = pytest.mark.playbook

GUARD = "roles/preflight/files/vault-guard.py"
SECRET = "kJ8#dn2!xcv0KJdn29as8dnXX01mzQ7pLw"


@pytest.fixture
def committed(two: Checkout) -> Checkout:
    (two.root / ".gitignore").write_text("/.slipway/\n__pycache__/\n")
    for command in (["init", "-q"], ["add", "."]):
        assert two.run("git", *command).returncode == 0
    return two


def guard(checkout: Checkout) -> tuple[int, list[str], str]:
    result = checkout.run(sys.executable, GUARD)
    assert "Traceback" not in result.stderr
    assert SECRET not in result.stdout + result.stderr
    return result.returncode, result.stdout.splitlines(), result.stderr


def test_fresh_environments_pass(committed: Checkout) -> None:
    assert guard(committed) == (0, [], "")


def test_a_vault_in_plain_text_is_found_even_where_only_git_has_it(committed: Checkout) -> None:
    vault = committed.root / "group_vars/staging/vault.yml"
    encrypted = vault.read_text()
    vault.write_text(f"vault_x: {SECRET}\n")
    code, lines, _ = guard(committed)
    assert code == 1
    wanted = "is not encrypted: ansible-vault encrypt --encrypt-vault-id staging group_vars/staging/vault.yml"
    assert lines == [f"group_vars/staging/vault.yml: {wanted}"]
    committed.run("git", "add", ".")
    vault.write_text(encrypted)
    assert guard(committed)[:2] == (1, lines)


def test_another_vault_id_is_found(committed: Checkout) -> None:
    vault = committed.root / "group_vars/staging/vault.yml"
    (committed.root / "group_vars/production/vault.yml").write_text(vault.read_text())
    committed.run("git", "add", ".")
    code, lines, _ = guard(committed)
    assert code == 1
    assert "group_vars/production/vault.yml: is encrypted under another vault id than production" in lines


def test_secrets_outside_the_vault_are_found(committed: Checkout) -> None:
    main = committed.root / "group_vars/staging/main.yml"
    main.write_text(f'vault_x: "{SECRET}"\napps: {{shop: {{settings: {{MAIL_PASSWORD: "{SECRET}", A: b}}}}}}\n')
    plain = "is a secret in plain text; move it to the vault"
    (committed.root / "group_vars/staging/vault-old.yml").write_text(f"db_password: {SECRET}\n")
    code, lines, _ = guard(committed)
    assert code == 1
    assert lines == [
        f"group_vars/staging/main.yml: apps.shop.settings.MAIL_PASSWORD: {plain}",
        "group_vars/staging/main.yml: vault_x: belongs in the vault",
        f"group_vars/staging/vault-old.yml: db_password: {plain}",
    ]


def test_a_password_file_in_git_is_found(committed: Checkout) -> None:
    committed.run("git", "add", "-f", ".slipway/vault/staging.password")
    code, lines, _ = guard(committed)
    assert code == 1
    assert lines[0].startswith(".slipway/vault/staging.password: holds a password")


def test_placeholders_templates_and_shared_secrets_are_found_inside_vaults(committed: Checkout) -> None:
    example = 'vault_a_secret_key: !unsafe "example: 64 random letters and digits"\n'
    shared = f'vault_mail_password: !unsafe "{SECRET}"\n'
    committed.write_vault(
        "staging",
        f'{example}{shared}vault_b: "{SECRET}9"\nvault_c: 0123\nvault_d: !unsafe changeme1\n'
        'vault_e: !unsafe "012345670"\nvault_f: "1234567890"\n',
    )
    committed.write_vault("production", f'vault_post_password: !unsafe "{SECRET}"\n')
    code, lines, _ = guard(committed)
    assert code == 1
    number = "must be text and is int; put it in quotes, without !unsafe, which would read a number all the same"
    placeholder = "is a placeholder; take the output of python3 -c 'import secrets; print(secrets.token_hex())'"
    other = (
        "is the same secret as vault_post_password in group_vars/production/vault.yml; each environment needs its own"
    )
    assert lines == [
        f"group_vars/staging/vault.yml: vault_a_secret_key: {placeholder}",
        f"group_vars/staging/vault.yml: vault_mail_password: {other}",
        "group_vars/staging/vault.yml: vault_b: would be taken for a template; put !unsafe before the quoted secret",
        f"group_vars/staging/vault.yml: vault_c: {number}",
        f"group_vars/staging/vault.yml: vault_d: {placeholder}",
        f"group_vars/staging/vault.yml: vault_e: {number}",
    ]


def test_a_vault_without_its_password_is_said_to_be_unseen(committed: Checkout) -> None:
    Path(committed.root / ".slipway/vault/production.password").unlink()
    code, lines, said = guard(committed)
    assert (code, lines) == (0, [])
    assert said == "group_vars/production/vault.yml: encrypted; not looked into, for its password is not at hand\n"
