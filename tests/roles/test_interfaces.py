"""Each role's inputs: named after it, described, and described truly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def options(role: str) -> dict[str, Any]:
    specs = read(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    merged: dict[str, Any] = {}
    for spec in specs.values():
        merged |= spec["options"]
    return merged


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_are_equal(role: str) -> None:
    defaults = read(ROOT / "roles" / role / "defaults" / "main.yml")
    described = {name: option.get("default") for name, option in options(role).items() if not option.get("required")}
    required = {name for name, option in options(role).items() if option.get("required")}
    # A required input may have an empty default, so that a role can say in its own words that it is missing.
    assert {name: value for name, value in defaults.items() if name not in required} == described


@pytest.mark.parametrize("role", ROLES)
def test_inputs_carry_the_role_s_name_and_a_description(role: str) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role}_")
        assert option["description"]
        assert option["type"]


@pytest.mark.parametrize("role", ROLES)
def test_internals_carry_the_role_s_name(role: str) -> None:
    for name in read(ROOT / "roles" / role / "vars" / "main.yml"):
        assert name.startswith(f"__{role}_")


@pytest.mark.parametrize("role", ROLES)
def test_no_role_reads_another_one_s_variables(role: str) -> None:
    others = [other for other in ROLES if other != role and not role.startswith(f"{other}_")]
    foreign = re.compile(rf"(?<![\w./-])(?:__)?(?:{'|'.join(others)})_[a-z_]+(?![\w./(-])")
    folders = ["tasks", "templates", "handlers", "defaults", "vars"]
    files = [path for folder in folders for path in (ROOT / "roles" / role / folder).rglob("*") if path.is_file()]
    for path in files:
        # What is given to another role, as a key below `vars`, is not read from it.
        text = re.sub(r"^ +\w+_\w+:", "", path.read_text(), flags=re.MULTILINE)
        expressions = " ".join(re.findall(r"\{\{.*?\}\}|\{%.*?%\}|when:.*", text, re.DOTALL))
        assert not set(foreign.findall(expressions)) - {f"{role}_apps"}, path


def tasks(role: str) -> Iterator[dict[str, Any]]:
    """Every task of a role, those in blocks too."""
    waiting = [
        task for path in (ROOT / "roles" / role / "tasks").glob("*.yml") for task in yaml.safe_load(path.read_text())
    ]
    while waiting:
        task = waiting.pop()
        waiting += [inner for part in ("block", "rescue", "always") for inner in task.get(part, [])]
        yield task


@pytest.mark.parametrize("role", ROLES)
def test_whoever_needs_apt_waits_for_it(role: str) -> None:
    # A fresh machine upgrades itself at its first boot, and a run that died may still be at it.
    for task in tasks(role):
        if apt := task.get("ansible.builtin.apt"):
            assert apt["lock_timeout"] >= 600, task["name"]


@pytest.mark.parametrize("role", ROLES)
def test_every_internal_name_that_a_role_uses_is_set_in_it(role: str) -> None:
    folders = ("defaults", "filter_plugins", "handlers", "tasks", "templates", "vars")
    files = [path for folder in folders for path in (ROOT / "roles" / role / folder).rglob("*") if path.is_file()]
    text = "\n".join(path.read_text() for path in files if path.suffix in {".yml", ".j2", ".py"})
    used = set(re.findall(r"(?<![\w.'])(__[a-z]\w*)", text)) - {"__future__", "__file__"}
    ways = (
        r"(__\w+)['\"]?: ",
        r"(?:register|loop_var|app_variable): \"?(__\w+)",
        r"(?:set|for) (__\w+)",
        r"macro (__\w+)",
    )
    found = set().union(*(re.findall(way, text) for way in ways), re.findall(r"(?m)(__\w+):$", text))
    assert used - found == set()


@pytest.mark.parametrize("role", ROLES)
def test_a_change_that_handlers_apply_outlasts_a_run_that_dies(role: str) -> None:
    for task in tasks(role):
        if "notify" in task and (files := task.get("rendered_files")):
            # nginx's role finds out by itself what nginx has not read.
            assert "pending" in files or "unread" in task["changed_when"], task["name"]
            assert files.get("pending", "").startswith("/var/lib/slipway/pending/") or role == "nginx"


def installed() -> set[str]:
    """The Debian packages that roles of site.yml install, each whatever else the machine has.

    PostgreSQL's come when their role has said how the package is to make its cluster, and only where an app asks.
    """
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text())
    roles = {task["ansible.builtin.import_role"]["name"] for play in plays for task in play["tasks"]}
    found: set[str] = set()
    for role in roles - {"host", "postgresql"}:
        for path in (ROOT / "roles" / role / "tasks").glob("*.yml"):
            for task in yaml.safe_load(path.read_text()) or []:
                name = task.get("ansible.builtin.apt", {}).get("name", [])
                if isinstance(name, str) and (variable := re.fullmatch(r"\{\{ (\w+) \}\}", name)):
                    name = read(ROOT / "roles" / role / "defaults" / "main.yml")[variable[1]]
                found |= {name} if isinstance(name, str) else set(name)
    return found


def test_one_run_of_apt_installs_all_that_the_roles_need() -> None:
    wired = read(ROOT / "group_vars" / "all" / "main.yml")["host_packages"]
    # Only where an app asks: an ACME client, and Redis, whose own instance has to be kept from starting first.
    assert installed() - {"certbot", "redis-server"} <= set(wired), (
        "add it to host_packages: a run of apt more costs seconds on each new host"
    )
