"""Rotating keys and passwords in a checkout: encrypted throughout, and whole whenever it is stopped."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import load
from tests.environment.conftest import Checkout

# Each runs whole playbooks.
pytestmark = pytest.mark.playbook

VAULT = "group_vars/staging/vault.yml"
PASSWORD = ".slipway/vault/staging.password"
# Runs the rotation role alone: what follows it in playbooks/rotate.yml needs a host.
PLAY = [{"hosts": "all", "gather_facts": False, "roles": ["preflight", "rotation", "tell"]}]
TELL = [{"ansible.builtin.debug": {"msg": "{{ apps.guestbook.settings.SECRET_KEY_FALLBACKS | length }} older"}}]


@pytest.fixture
def ready(two: Checkout) -> Checkout:
    (two.root / "playbooks/rotate-only.yml").write_text(json.dumps(PLAY))
    (two.root / "roles/tell/tasks").mkdir(parents=True)
    (two.root / "roles/tell/tasks/main.yml").write_text(json.dumps(TELL))
    (two.root / ".slipway/vault/production.password").unlink()
    return two


def view(checkout: Checkout) -> str:
    result = checkout.run("ansible-vault", "view", VAULT)
    assert result.returncode == 0, result.stderr
    return result.stdout


def rotate(checkout: Checkout, *more: str) -> subprocess.CompletedProcess[str]:
    return checkout.run("ansible-playbook", "playbooks/rotate-only.yml", "-i", "inventory/staging.yml", *more)


def test_a_rotation_is_seen_by_the_rest_of_the_play_and_shows_no_key(ready: Checkout) -> None:
    before = view(ready)
    old = re.findall(r'"(\w{64})"', before)[0]
    result = rotate(ready, "-vvv", "--diff")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 older" in result.stdout
    assert "Sessions signed with the one before stay valid" in result.stdout
    after = view(ready)
    assert after.startswith(before[: before.index(old)])
    assert f'  - !unsafe "{old}"  # until 20' in after
    new = re.findall(r'^vault_guestbook_secret_key: !unsafe "(.+)"$', after, re.MULTILINE)[0]
    assert new != old
    assert not [key for key in (old, new) if key in result.stdout + result.stderr]
    assert (ready.root / VAULT).read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;staging\n")
    assert stat.S_IMODE((ready.root / VAULT).stat().st_mode) == 0o600
    assert rotate(ready, "-e", "leaked=true").returncode == 0
    assert [word for word in (old, new) if word in view(ready)] == []


def test_an_app_that_would_forget_its_older_keys_stops_it(ready: Checkout) -> None:
    main = ready.root / "group_vars/staging/main.yml"
    main.write_text("\n".join(line for line in main.read_text().splitlines() if "FALLBACKS" not in line))
    before = (ready.root / VAULT).read_bytes()
    result = rotate(ready)
    assert result.returncode != 0
    wanted = "{{ vault_guestbook_secret_key_fallbacks | default([]) }}"
    assert f'apps.guestbook.settings.SECRET_KEY_FALLBACKS: "{wanted}"' in result.stdout
    assert (ready.root / VAULT).read_bytes() == before


def test_a_dry_run_changes_nothing(ready: Checkout) -> None:
    before = (ready.root / VAULT).read_bytes()
    assert rotate(ready, "--check").returncode == 0
    assert (ready.root / VAULT).read_bytes() == before


def test_the_password_to_a_database_is_new_and_the_rest_of_the_play_has_it(ready: Checkout) -> None:
    inventory = ready.root / "inventory/staging.yml"
    host = "    staging1:\n"
    more = '    db1: {ansible_host: "198.51.100.8"}\n'
    inventory.write_text(inventory.read_text().replace(host, f"{more}{host}") + "db: {hosts: {db1: }}\n")
    main = ready.root / "group_vars/staging/main.yml"
    database = 'postgresql: {host: db1, password: "{{ vault_guestbook_database_password }}"}'
    main.write_text(main.read_text().replace("    health:", f"    database: postgresql\n    {database}\n    health:"))
    old = "first-of-all-0123456789abcdef"
    before = f'{view(ready)}# The database.\nvault_guestbook_database_password: !unsafe "{old}"\n'
    ready.write_vault("staging", before)
    say = "{{ apps.guestbook.postgresql.password == first }} {{ apps.guestbook.settings.SECRET_KEY }}"
    tell = [{"ansible.builtin.debug": {"msg": say}}]
    (ready.root / "roles/tell/tasks/main.yml").write_text(json.dumps(tell))
    result = rotate(ready, "-e", "what=database", "-e", f"first={old}")
    assert result.returncode == 0, result.stdout + result.stderr
    key = re.findall(r'"(\w{64})"', before)[0]
    # On the host that has the database as well, and its keys as before.
    assert result.stdout.count(f"False {key}") == 2
    after = view(ready)
    new = re.findall(r'^vault_guestbook_database_password: !unsafe "(.+)"$', after, re.MULTILINE)[0]
    assert after == before.replace(old, new)
    assert new != old
    assert new not in result.stdout + result.stderr


def test_without_a_database_elsewhere_there_is_no_password_to_rotate(ready: Checkout) -> None:
    before = (ready.root / VAULT).read_bytes()
    result = rotate(ready, "-e", "what=database")
    assert result.returncode != 0
    assert "there is no app with a database on another host" in " ".join(result.stdout.split())
    assert (ready.root / VAULT).read_bytes() == before


def rekey(checkout: Checkout, name: str = "staging") -> subprocess.CompletedProcess[str]:
    return checkout.run("ansible-playbook", "playbooks/rekey.yml", "-e", f"environment_name={name}")


def test_a_new_password_opens_the_vault_and_the_old_one_does_not(ready: Checkout) -> None:
    before, old = view(ready), (ready.root / PASSWORD).read_text()
    result = rekey(ready)
    assert result.returncode == 0, result.stdout + result.stderr
    new = (ready.root / PASSWORD).read_text()
    assert new.strip() not in result.stdout
    assert view(ready) == before
    assert stat.S_IMODE((ready.root / PASSWORD).stat().st_mode) == 0o600
    assert {path.name for path in (ready.root / ".slipway/vault").iterdir()} == {"staging.password"}
    (ready.root / PASSWORD).write_text(old)
    assert ready.run("ansible-vault", "view", VAULT).returncode != 0


@pytest.mark.parametrize("name", ["", "nowhere", "../staging"])
def test_there_must_be_such_an_environment(ready: Checkout, name: str) -> None:
    result = rekey(ready, name)
    assert result.returncode != 0
    assert f"there is no group_vars/{name}/vault.yml" in " ".join(result.stdout.split())


def test_a_password_in_a_variable_is_left_to_who_set_it(ready: Checkout) -> None:
    ready.variables["SLIPWAY_VAULT_PASSWORD_STAGING"] = (ready.root / PASSWORD).read_text().strip()
    result = rekey(ready)
    assert result.returncode != 0
    assert "SLIPWAY_VAULT_PASSWORD_STAGING holds the password" in result.stdout


WRITER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import vault_file
calls = 0
def stop(frame, event, argument):
    global calls
    if event == "c_call":
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), 9)
sys.setprofile(stop)
vault_file.replace(Path('vault'), b'new' * 9999, mode=0o600)
sys.setprofile(None)
print(calls)
"""
ROOT = Path(__file__).resolve().parents[2]


def killed(root: Path, call: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WRITER, str(ROOT / "roles/rotation/module_utils"), str(call)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_a_write_that_is_killed_anywhere_leaves_one_whole_file(tmp_path: Path) -> None:
    (tmp_path / "vault").write_bytes(b"old" * 9999)
    whole = killed(tmp_path, 0)
    assert whole.returncode == 0, whole.stderr
    seen = set()
    for call in range(1, int(whole.stdout) + 1):
        (tmp_path / "vault").write_bytes(b"old" * 9999)
        assert killed(tmp_path, call).returncode == -signal.SIGKILL
        held = (tmp_path / "vault").read_bytes()
        assert held in (b"old" * 9999, b"new" * 9999)
        seen.add(held[:3])
    assert seen == {b"old", b"new"}


# Three renames: the new password into a place of its own, the vault, the password to where the old one was.
@pytest.mark.parametrize(("rename", "done"), [(1, True), (2, True), (3, False)])
def test_a_rekeying_that_is_stopped_leaves_a_vault_that_opens(
    ready: Checkout, monkeypatch: pytest.MonkeyPatch, rename: int, done: bool
) -> None:
    monkeypatch.setitem(
        sys.modules, "ansible.module_utils.vault_file", load("roles/rotation/module_utils/vault_file.py")
    )
    module = load("roles/rotation/library/vault_password.py")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    before, real, count = view(ready), Path.rename, 0

    def stopped(path: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == rename and not done:
            raise KeyboardInterrupt
        real(path, target)
        if count == rename:
            raise KeyboardInterrupt
        return target

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt):
        module.change(ready.root, ready.root / VAULT, "staging", before, ready.root / PASSWORD)
    monkeypatch.setattr(Path, "rename", real)
    assert view(ready) == before
    module.change(ready.root, ready.root / VAULT, "staging", before, ready.root / PASSWORD)
    assert view(ready) == before
    assert not (ready.root / f"{PASSWORD}.new").exists()
