"""The shape of the tree, where a slip would go unnoticed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
FIXED = {"playbooks", "roles", "app", "inventory", "group_vars", "molecule", "README.md"}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def test_the_top_level_is_what_readers_expect() -> None:
    assert {path.name for path in ROOT.iterdir()} >= FIXED


def test_inventories_find_the_variables() -> None:
    # Ansible silently reads no group_vars where inventory and playbooks are both one level down.
    for link in (ROOT / "inventory" / "group_vars", *ROOT.glob("molecule/*/inventory/group_vars")):
        assert link.is_symlink(), link
        assert link.resolve() == ROOT / "group_vars"


def test_every_environment_s_vault_is_encrypted() -> None:
    for path in ROOT.glob("group_vars/*/vault.yml"):
        assert path.read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;"), f"{path} is not encrypted"


def test_no_example_is_taken_for_variables() -> None:
    # Ansible loads any .yml in such a folder, whatever its name begins with.
    assert not [path for path in ROOT.glob("group_vars/*/*example*") if path.suffix in {".yml", ".yaml", ".json"}]


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_playbooks_are_lists_of_roles(path: Path) -> None:
    for play in yaml.safe_load(path.read_text()):
        assert not set(play) & {"pre_tasks", "post_tasks", "handlers"}, f"{path}: {play['name']}"
        roles = [task.get("ansible.builtin.import_role") for task in play.get("tasks", [])]
        assert all(roles), f"{path}: {play['name']}"
        assert play.get("roles") or roles or play.get("ansible.builtin.import_playbook")


def test_where_roles_do_not_check_what_they_are_given_preflight_does(root: Path) -> None:
    for path in (root / "playbooks").glob("*.yml"):
        plays = [play for play in yaml.safe_load(path.read_text()) if "tasks" in play]
        for play in plays[:1]:
            assert play["tasks"][0]["ansible.builtin.import_role"]["name"] == "preflight", path


def test_the_tree_names_no_registry_and_no_machine() -> None:
    # Put together here, so that this file does not name them either.
    hosts = ["py-pi.org", "files.python-hosted.org", "deb.debian-.org", "registry.npm-js.org", "galaxy.ansible-.com"]
    words = [re.escape(host.replace("-", "")) for host in hosts]
    forbidden = re.compile("|".join([*words, r"(?<![\w.])/(?:root/\.pyenv|home/\w+)/"]))
    for path in tracked():
        if path.is_file() and not path.is_symlink() and path != Path(__file__):
            assert not forbidden.findall(path.read_text(errors="replace")), path
