"""Apps that nobody here wrote, and workers, timers, hooks, rollbacks and removals as an operator meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from molecule.shared.program import Program, RefusedError
from molecule.shared.program import apps as filled_in

BOOK = "guestbook.localhost"


def apps(project: Path, **changes: Any) -> list[str]:
    """The arguments that give a playbook this scenario's apps, with `guestbook` changed."""
    given = yaml.safe_load((project / "molecule/foreign/vars/apps.yml").read_text())["apps"]
    given["guestbook"] |= changes
    return ["-e", json.dumps({"apps": given})]


def worker(vps: Any) -> str:
    return f"guestbook.ticker@{vps.release('guestbook')}.service"


@pytest.fixture(scope="module")
def slipway(vps: Any, tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program(vps, tmp_path_factory.mktemp("slipway"))


@pytest.fixture(scope="module")
def guestbook(vps: Any, project: Path) -> dict[str, Any]:
    """The guestbook as this scenario has it, with its secrets filled in."""
    return dict(filled_in(vps, "-e", f"@{project}/molecule/foreign/vars/apps.yml")["guestbook"])


def test_an_app_with_a_python_file_and_its_own_migrations(vps: Any) -> None:
    page = vps.https("money.localhost")
    assert page.status == 200
    assert "I Hate Money" in page.body
    assert vps.https("money.localhost", "/static/css/main.css").headers["server"] == "nginx"
    tables = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('select name from sqlite_master'))"
    assert "alembic_version" in vps.run("python3", "-c", tables, "/srv/money/shared/data/money.db")
    assert vps.run("stat", "-c", "%a %U %G", "/srv/money/current/settings.py") == "640 root money"


def test_an_app_that_only_needs_to_be_started(vps: Any) -> None:
    answer = vps.https("httpbin.localhost", "/get?a=b")
    assert json.loads(answer.body)["args"] == {"a": "b"}


def test_a_second_domain_leads_to_the_first(vps: Any) -> None:
    answer = vps.https("www.guestbook.localhost", "/x")
    assert answer.status == 308
    assert answer.headers["location"] == f"https://{BOOK}:{vps.https_port}/x"


def test_a_hook_may_change_the_source_before_it_is_built(vps: Any) -> None:
    assert vps.https(BOOK, "/static/hook.txt").body == "by a hook\n"
    assert vps.run("stat", "-c", "%U", "/srv/guestbook/current/src/guestbook/static/hook.txt") == "root"


def test_a_worker_runs_on_the_serving_release_in_a_sandbox(vps: Any) -> None:
    assert vps.run("systemctl", "is-active", worker(vps)) == "active"
    assert vps.run("systemctl", "show", "-P", "User", worker(vps)) == "guestbook"
    report = vps.run("systemd-analyze", "security", "--no-pager", worker(vps))
    assert float(report.rpartition(": ")[2].split()[0]) <= 1.5


def test_a_timer_runs_its_command_in_the_serving_release(vps: Any) -> None:
    assert "guestbook.nightly.timer" in vps.run("systemctl", "list-timers", "--no-pager")
    assert vps.run("systemctl", "is-enabled", "guestbook.nightly.timer") == "enabled"
    vps.run("systemctl", "start", "guestbook.nightly.service")
    log = vps.run("journalctl", "-o", "cat", "-u", "guestbook.nightly.service")
    assert f"RELEASE_ID = '{vps.release('guestbook')}'" in log


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"workers": {"ticker": "python -c 'print(\"no such queue\"); raise SystemExit(1)'"}}, "no such queue"),
        ({"hooks": {"before_build": {"command": "sh -c 'echo no npm here; exit 1'"}}}, "no npm here"),
        ({"hooks": {"before_switch": {"command": "sh -c 'echo cache is cold; exit 1'"}}}, "cache is cold"),
        ({"hooks": {"after_switch": {"command": "sh -c 'echo nobody told; exit 1'"}}}, "nobody told"),
        ({"hooks": {"before_switch": {"command": "sleep 60", "timeout": 1}}}, "took longer than 1 s"),
    ],
    ids=["worker", "before_build", "before_switch", "after_switch", "timeout"],
)
def test_what_fails_beside_the_server_fails_the_deploy(
    vps: Any, slipway: Program, guestbook: dict[str, Any], change: Any, cause: str
) -> None:
    good = vps.release("guestbook")
    with pytest.raises(RefusedError) as failed:
        slipway.deploy("guestbook", {**guestbook, **change})
    assert cause in str(failed.value)
    assert f"Release {good} is still serving" in str(failed.value)
    assert vps.release("guestbook") == good
    assert vps.https(BOOK).status == 200
    assert vps.run("systemctl", "is-active", worker(vps)) == "active"
    assert vps.run("systemctl", "list-units", "--plain", "--no-legend", "guestbook.ticker@*").count("\n") == 0


def test_a_worker_moves_on_and_back_with_its_release(vps: Any, project: Path) -> None:
    first, before = vps.release("guestbook"), worker(vps)
    changed = apps(
        project, workers={"ticker": "python -c 'import time; print(\"tocks\", flush=True); time.sleep(9999)'"}
    )
    done = vps.playbook("site.yml", *changed)
    assert done.returncode == 0, done.stdout
    assert worker(vps) != before
    assert "tocks" in vps.run("journalctl", "-o", "cat", "-u", worker(vps))
    assert vps.run("systemctl", "is-active", before, check=False) == "inactive"
    back = vps.playbook("playbooks/rollback.yml", *changed, "-e", "app=guestbook")
    assert back.returncode == 0, back.stdout
    assert vps.release("guestbook") == first
    assert vps.run("systemctl", "is-active", before) == "active"


NEWER = """
revision = "0002"
down_revision = "0001"


def upgrade():
    pass


def downgrade():
    pass
"""


def test_no_rollback_to_code_that_the_database_has_outgrown(vps: Any, project: Path, tmp_path: Path) -> None:
    older = vps.release("guestbook")
    litter = shutil.ignore_patterns(".venv", "instance", "__pycache__")
    shutil.copytree(project / "app", tmp_path / "app", ignore=litter)
    shutil.copytree(project / "molecule/foreign/locks", tmp_path / "molecule/foreign/locks")
    (tmp_path / "app/migrations/versions/0002_newer.py").write_text(NEWER)
    done = vps.playbook("site.yml", *apps(project), "-e", f"release_source_root={tmp_path}")
    assert done.returncode == 0, done.stdout
    newer = vps.release("guestbook")

    refused = vps.playbook("playbooks/rollback.yml", *apps(project), "-e", "app=guestbook")
    assert refused.returncode == 2
    assert f"The database is at migration 0002, and release {older} was written for 0001" in refused.stdout
    assert "Two ways out" in refused.stdout
    assert vps.release("guestbook") == newer
    assert vps.https(BOOK).status == 200

    vps.run("slipway", "run", "guestbook", "flask", "--app", "wsgi", "db", "downgrade", "0001")
    back = vps.playbook("playbooks/rollback.yml", *apps(project), "-e", "app=guestbook")
    assert back.returncode == 0, back.stdout
    assert vps.release("guestbook") == older


def test_an_app_goes_and_its_data_stays_until_told(vps: Any, project: Path) -> None:
    gone = vps.playbook("site.yml", *apps(project, state="absent"))
    assert gone.returncode == 0, gone.stdout
    assert vps.https(BOOK, "/", "--insecure").status == 0
    assert vps.https("money.localhost").status == 200
    assert vps.run("id", "guestbook", check=False) == ""
    assert (
        vps.run("find", "/etc/systemd/system", "/etc/nginx", "/etc/gunicorn", "/etc/ssl/slipway", "-name", "guestbook*")
        == ""
    )
    # Its databases are in the repository of backups as well.
    assert vps.run("ls", "/srv/guestbook").split() == ["shared"]
    assert vps.run("stat", "-c", "%U", "/srv/guestbook/shared/guestbook.db") == "root"

    again = vps.playbook("site.yml", *apps(project))
    assert again.returncode == 0, again.stdout
    assert vps.https(BOOK, "/readyz").status == 200

    gone = vps.playbook("site.yml", *apps(project, state="absent", data="delete"))
    assert gone.returncode == 0, gone.stdout
    assert vps.run("ls", "/srv").split() == ["httpbin", "money"]
    assert "changed=0" in vps.playbook("site.yml", *apps(project, state="absent", data="delete")).stdout
