"""Which version of PostgreSQL the role works with, and what it says of moving to another."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

# Each runs a whole playbook.
pytestmark = pytest.mark.playbook

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles/postgresql"
OLD = "cluster 15 main 5432 online postgres /var/lib/postgresql/15/main /var/log/postgresql/postgresql-15-main.log"
# As pg_upgradecluster leaves them.
MOVED = ["cluster 15 main 5433 down postgres /var/lib/postgresql/15/main a.log",
         "cluster 17 main 5432 online postgres /var/lib/postgresql/17/main b.log"]  # fmt: skip
PACKAGES = {"postgresql_packages": ["postgresql-15-pgvector", "postgresql-plperl-15", "gdal-bin"]}
APART = {"postgresql_logins": {"shop_3fa9c2d1": "SCRAM-SHA-256$4096:x"}}


def seen(out: Path, lines: list[str], **variables: Any) -> dict[str, Any]:
    """What the role makes of the lines of its look."""
    told = {
        "version": "{{ __postgresql_version }}",
        "moves": "{{ __postgresql_version != __postgresql_newest }}",
        "directories": ["{{ __postgresql_etc }}", "{{ __postgresql_data }}"],
        "wanted": "{{ __postgresql_wanted }}",
        "steps": f"{{{{ lookup('ansible.builtin.template', '{ROLE}/templates/upgrade.txt.j2') }}}}",
    }
    files = [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")]
    copy = {"content": "{{ told | to_json }}", "dest": str(out), "mode": "0600"}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": files,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}", "told": told},
        "tasks": [{"ansible.builtin.copy": copy}],
    }
    path = out.with_suffix(".yml")
    path.write_text(json.dumps([play]))
    given = {"postgresql_apps": {"shop": {}, "blog": {}}, "__postgresql_found": {"stdout_lines": lines}, **variables}
    command = ["ansible-playbook", str(path), "-e", json.dumps(given)]
    result = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return dict(json.loads(out.read_text()))


@pytest.mark.parametrize(
    ("lines", "version", "installs"),
    [
        (["debian 12"], "15", True),
        (["debian 13"], "17", True),
        (["debian 13", OLD], "15", False),
        (["debian 13", *MOVED], "17", False),
    ],
)
def test_the_cluster_on_the_apps_port_is_the_one(
    tmp_path: Path, lines: list[str], version: str, installs: bool
) -> None:
    role = seen(tmp_path / "seen", lines)
    assert role["version"] == version
    assert role["directories"] == [f"/etc/postgresql/{version}/main", f"/var/lib/postgresql/{version}/main"]
    assert (f"postgresql-{version}" in role["wanted"]) is installs
    assert role["moves"] is (OLD in lines)


@pytest.mark.parametrize(
    ("variables", "install", "stop", "then"),
    [
        ({}, "", ["for app in blog shop; do slipway stop $app; done"], "Then site.yml, which configures"),
        (
            PACKAGES,
            " postgresql-17-pgvector postgresql-plperl-17 gdal-bin",
            ["for app in blog shop; do slipway stop $app; done"],
            "Then site.yml, with postgresql_packages: [postgresql-17-pgvector, postgresql-plperl-17, gdal-bin], which",
        ),
        (
            APART,
            "",
            ["for app in blog; do slipway stop $app; done",
             "for app in shop; do slipway stop $app; done      # on each host that has them"],
            "Then site.yml, which configures",
        ),
    ],
    ids=["here", "packages", "apart"],
)  # fmt: skip
def test_the_steps_to_another_version(
    tmp_path: Path, variables: dict[str, Any], install: str, stop: list[str], then: str
) -> None:
    said = seen(tmp_path / "seen", ["debian 13", OLD], **variables)["steps"].splitlines()
    assert said[0].startswith("PostgreSQL 15 holds the data, and this Debian has 17. Nothing moves it by itself.")
    then_at = next(number for number, line in enumerate(said) if line.startswith(then))
    # Debian makes no cluster of 17 beside one of 15: there is none to drop, and nobody is told to.
    assert [line.strip() for line in said[1:then_at]] == [
        f"apt-get install --yes --no-install-recommends postgresql-17{install}",
        *stop,
        "pg_upgradecluster 15 main      # copies; the old one stays, stopped",
        "systemctl disable postgresql@15-main",
    ]
    assert [line.strip() for line in said[then_at + 1 :]] == [
        "pg_dropcluster 15 main",
        "apt-get purge postgresql-15 postgresql-client-15",
    ]
