"""The vault client: where it looks, in which order, and what it says when it finds nothing right."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment.conftest import Checkout

# Each runs whole playbooks.
pytestmark = pytest.mark.playbook

CLIENT = "roles/environment/files/vault-client.py"
VAULT = "group_vars/staging/vault.yml"
KEYRING = """
import keyring.backend
class Keyring(keyring.backend.KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        assert service.startswith("slipway:") and username == "staging"
        return open("keyring.txt").read()
    set_password = delete_password = None
"""


def ask(checkout: Checkout, *more: str) -> subprocess.CompletedProcess[str]:
    return checkout.run(sys.executable, CLIENT, "--required", "--vault-id", "staging", *more)


@pytest.fixture
def password(two: Checkout) -> str:
    return (two.root / ".slipway/vault/staging.password").read_text().strip()


def test_the_variable_comes_first(two: Checkout, password: str) -> None:
    (two.root / ".slipway/vault/staging.password").write_text("other\n")
    two.variables["SLIPWAY_VAULT_PASSWORD_STAGING"] = password
    assert ask(two).stdout == f"{password}\n"


def test_then_the_file(two: Checkout, password: str) -> None:
    assert ask(two).stdout == f"{password}\n"


def test_then_the_keyring(two: Checkout, password: str) -> None:
    (two.root / ".slipway/vault/staging.password").unlink()
    (two.root / "played.py").write_text(KEYRING)
    (two.root / "keyring.txt").write_text(password)
    two.variables |= {"PYTHON_KEYRING_BACKEND": "played.Keyring", "PYTHONPATH": str(two.root)}
    assert ask(two).stdout == f"{password}\n"
    (two.root / "keyring.txt").write_text("other")
    refused = ask(two)
    assert refused.returncode == 1
    assert "the system keyring (slipway:checkout)" in refused.stderr


def test_then_a_prompt_that_lets_one_try_again(two: Checkout, password: str) -> None:
    (two.root / ".slipway/vault/staging.password").unlink()
    command = [sys.executable, CLIENT, "--required", "--vault-id", "staging"]
    quiet = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(two.root)
        os.execve(command[0], command, {**os.environ, **quiet})  # noqa: S606  # no shell wanted
    said = ""
    for answer in ("wrong", password):
        while "Vault password of staging: " not in said:
            said += os.read(terminal, 1024).decode()
        said = ""
        os.write(terminal, f"{answer}\n".encode())
    try:
        while chunk := os.read(terminal, 1024):
            said += chunk.decode()
    except OSError:
        # A terminal whose other end is closed.
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert said.split() == [password]


def test_a_missing_password_says_where_it_was_looked_for(two: Checkout) -> None:
    (two.root / ".slipway/vault/staging.password").unlink()
    result = ask(two)
    assert (result.returncode, result.stdout) == (2, "")
    for place in (
        "environment staging",
        "SLIPWAY_VAULT_PASSWORD_STAGING",
        ".slipway/vault/staging.password",
        "keyring",
    ):
        assert place in result.stderr


@pytest.mark.parametrize("command", [["ansible-vault", "view", VAULT], ["ansible-inventory", "--list"]])
def test_a_wrong_one_says_whose_it_is_and_where_it_was_found(two: Checkout, command: list[str]) -> None:
    two.variables["SLIPWAY_VAULT_PASSWORD_STAGING"] = "wr0ng"
    (two.root / ".slipway/vault/staging.password").unlink()
    result = two.run(*command, *(["-i", "inventory/staging.yml"] if "list" in command[-1] else []))
    assert result.returncode != 0
    assert "wrong vault password for the environment staging" in result.stderr
    assert "in the variable SLIPWAY_VAULT_PASSWORD_STAGING" in result.stderr
    assert "wr0ng" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["ansible-inventory", "-i", "inventory/staging.yml", "--host", "staging1"],
        ["ansible-inventory", "--inventory=inventory/staging.yml", "--list"],
        ["ansible-vault", "view", VAULT],
        ["ansible-vault", "view", "group_vars/../group_vars/staging/vault.yml"],
    ],
)
def test_one_environment_s_password_is_enough(two: Checkout, command: list[str]) -> None:
    (two.root / ".slipway/vault/production.password").unlink()
    result = two.run(*command)
    assert result.returncode == 0, result.stderr
    assert "vault_guestbook_secret_key" in result.stdout
    assert result.stderr == ""


def test_an_inventory_of_all_environments_wants_all_passwords(two: Checkout) -> None:
    (two.root / ".slipway/vault/production.password").unlink()
    (two.root / "inventory/local.yml").unlink()
    result = two.run("ansible-inventory", "-i", "inventory", "--list")
    assert result.returncode != 0
    assert "no vault password for the environment production" in result.stderr
    assert "environment staging" not in result.stderr


def test_a_password_opens_only_its_own_environment(two: Checkout, password: str) -> None:
    # The same password for both, and still staging's vault does not open under production's id.
    (two.root / ".slipway/vault/production.password").write_text(password)
    shutil.copy(two.root / VAULT, two.root / "group_vars/production/vault.yml")
    (two.root / ".slipway/vault/staging.password").unlink()
    assert two.run("ansible-vault", "view", "group_vars/production/vault.yml").returncode != 0


def test_editing_just_works(two: Checkout) -> None:
    editor = two.root / "editor"
    editor.write_text('#!/bin/sh\necho \'vault_shop_mail_password: !unsafe "a{{ b }}"\' >>"$1"\n')
    editor.chmod(0o700)
    two.variables["EDITOR"] = str(editor)
    (two.root / ".slipway/vault/production.password").unlink()
    result = two.run("ansible-vault", "edit", VAULT)
    assert result.returncode == 0, result.stderr
    assert (two.root / VAULT).read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;staging\n")
    shown = two.run(
        "ansible", "staging", "-i", "inventory/staging.yml", "-m", "debug", "-a", "var=vault_shop_mail_password"
    )
    assert "a{{ b }}" in shown.stdout


def test_a_command_about_no_environment_wants_no_password(two: Checkout) -> None:
    for path in Path(two.root / ".slipway/vault").iterdir():
        path.unlink()
    result = two.run("ansible", "localhost", "-m", "ping")
    assert result.returncode == 0, result.stderr
