"""An app and its database on two hosts: who gets in, what can be read on the way, and a password that is replaced."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from .database import APP, DOMAIN, Server, address, ask


@pytest.fixture(scope="module")
def server(vps: Any) -> Server:
    return Server(vps)


def test_the_app_works_with_it(vps: Any, server: Server) -> None:
    answer = vps.https(DOMAIN, "/readyz")
    assert (answer.status, json.loads(answer.body)["checks"]) == (200, {"database": "ok"})
    assert ask(vps) == "let in as apart"
    # What a migration has made belongs to the app, whichever password it came with.
    assert server.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == ["apart"]
    assert server.logins() == [address(vps)["user"]]


def test_nobody_between_the_hosts_can_read_along(vps: Any, server: Server) -> None:
    vps.https(DOMAIN)
    state = "SELECT DISTINCT ssl, version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename ~ '^apart_'"
    assert server.sql(state) == ["t|TLSv1.3"]
    assert "no encryption" in ask(vps, PGSSLMODE="disable")


REFUSED = {
    "a wrong password": ({"PGPASSWORD": "x" * 48}, "password authentication failed"),
    "no password": ({"PGPASSWORD": ""}, "no password supplied"),
    "the app's role, which has no password": ({"PGUSER": APP}, "password authentication failed"),
    "postgres": ({"PGUSER": "postgres"}, "no pg_hba.conf entry"),
    "another database": ({"PGDATABASE": "postgres"}, "no pg_hba.conf entry"),
    "a template": ({"PGDATABASE": "template1"}, "no pg_hba.conf entry"),
    "somebody else's authority": ({"PGSSLROOTCERT": "/etc/ssl/certs/ca-certificates.crt"}, "certificate verify failed"),
    "another name for the host": ({"PGHOST": "elsewhere", "PGHOSTADDR": ""}, "could not translate|does not match"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_who_is_not_the_app_is_refused(vps: Any, name: str) -> None:
    changes, why = REFUSED[name]
    said = ask(vps, **changes)
    assert re.search(why, said), said
    assert "let in" not in said


def test_the_network_reaches_the_database_from_the_app_alone(vps: Any, server: Server) -> None:
    [found] = json.loads(subprocess.run(["podman", "inspect", server.name], capture_output=True, check=True).stdout)
    [network] = found["NetworkSettings"]["Networks"].values()
    knock = f"timeout 3 bash -c '</dev/tcp/{network['IPAddress']}/%d' && echo open || echo closed"
    assert vps.run("sh", "-c", knock % 5432).splitlines()[-1] == "open"
    assert vps.run("sh", "-c", knock % 80).splitlines()[-1] == "closed"
    limits = [
        f"--ulimit={each['Name'].removeprefix('RLIMIT_').lower()}={each['Hard']}"
        for each in found["HostConfig"]["Ulimits"]
    ]
    options = ["--rm", f"--network={next(iter(found['NetworkSettings']['Networks']))}", *limits]
    stranger = ["podman", f"--runtime={found['OCIRuntime']}", "run", *options, found["Image"], "sh", "-c", knock % 5432]
    result = subprocess.run(stranger, capture_output=True, text=True, check=False)
    assert result.stdout.splitlines()[-1:] == ["closed"], result.stdout + result.stderr


def test_its_host_has_no_app(server: Server) -> None:
    assert server.run("sh", "-c", "command -v nginx slipway", check=False) == ""
    assert server.run("getent", "passwd", APP, check=False) == ""
    listening = server.run("ss", "-Hltn")
    assert ":5432" in listening
    assert ":443" not in listening


def test_no_log_and_no_process_shows_the_password(vps: Any, server: Server) -> None:
    password = address(vps)["password"]
    for look in ("journalctl --no-pager", "cat /proc/[0-9]*/cmdline", "cat /var/log/postgresql/*"):
        # In its own process list the search would find itself.
        search = f"{look} 2>/dev/null | grep -c -a -e '[{password[0]}]{password[1:]}'"
        assert vps.run("sh", "-c", search, check=False) == "0", look
        assert server.run("sh", "-c", search, check=False) == "0", look
    assert vps.run("stat", "-c", "%a %U %G", f"/srv/{APP}/current/settings.json") == f"640 root {APP}"


def test_a_deploy_is_refused_while_the_database_is_away(
    vps: Any, server: Server, project: Path, tmp_path: Path
) -> None:
    before = vps.release(APP)
    hosts = yaml.safe_load((project / "molecule/apart/inventory/hosts.yml").read_text())["local"]["hosts"]
    hosts["vps"]["apps"][APP]["settings"]["NOINDEX"] = True
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({"apps": hosts["vps"]["apps"]}))
    server.run("sh", "-c", "systemctl stop 'postgresql@*'")
    try:
        done = vps.playbook("playbooks/deploy.yml", "-e", f"@{changed}")
        assert done.returncode != 0
        assert f"The database of {APP} cannot be used: it does not run, or cannot be reached" in done.stdout
        assert vps.release(APP) == before
        assert vps.https(DOMAIN, "/healthz").status == 200
        assert vps.https(DOMAIN, "/readyz").status == 503
    finally:
        server.run("systemctl", "start", "postgresql")
    assert vps.https(DOMAIN, "/readyz").status == 200


@pytest.fixture
def inventory(vps: Any, project: Path, tmp_path: Path) -> Path:
    """The scenario's inventory with a vault of its own that has the password."""
    place = tmp_path / "apart" / "inventory"
    place.mkdir(parents=True)
    shutil.copy(project / "molecule/shared/inventory/vps.yml", place)
    shutil.copy(project / "molecule/apart/inventory/hosts.yml", place)
    shutil.copytree(project / "group_vars", place / "group_vars")
    vault = place / "group_vars/local/vault.yml"

    def run(*command: str, given: str = "") -> str:
        done = subprocess.run(command, input=given, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    text = run("ansible-vault", "view", str(vault))
    text += f'vault_apart_database_password: !unsafe "{address(vps)["password"]}"\n'
    encrypt = ["ansible-vault", "encrypt", "--encrypt-vault-id", "local", "--output", str(vault), "-"]
    vault.unlink()
    run(*encrypt, given=text)
    return place


def test_a_password_is_replaced_and_nobody_notices(
    vps: Any, server: Server, project: Path, inventory: Path, tmp_path: Path
) -> None:
    before, release = address(vps), vps.release(APP)
    command = ["ansible-playbook", "playbooks/rotate.yml", f"--inventory={inventory}", "-e", "what=database", "-vvv"]
    # Where the hosts' keys are follows from where the inventory is.
    command += ["-e", f"vps_project={project}"]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    with vps.guests(DOMAIN, tmp_path / "load.jsonl") as records:
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:]
    failed = [f"{record['kind']} {record['error']}" for record in records if record["error"]]
    assert failed == []
    assert len([record for record in records if record["mark"]]) > 50
    after = address(vps)
    assert vps.release(APP) != release
    assert after["password"] != before["password"]
    assert server.logins() == [after["user"]]
    assert ask(vps) == "let in as apart"
    # The login is gone, and with it all that the server knew of the old password.
    assert "let in" not in ask(vps, PGUSER=before["user"], PGPASSWORD=before["password"])
    for password in (before["password"], after["password"]):
        assert password not in done.stdout + done.stderr

    # Going back means going back to the password that is gone, and that is seen in time.
    back = vps.playbook("playbooks/rollback.yml", "-e", f"release={release}")
    assert back.returncode != 0
    assert f"The database of {APP} cannot be used: it does not let the app in" in back.stdout
    assert vps.https(DOMAIN, "/readyz").status == 200

    # A dry run has nothing left to say.
    again = [*command[:1], "site.yml", *command[2:3], *command[-2:], "--check"]
    done = subprocess.run(again, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert not re.search(r"changed=[1-9]", done.stdout), done.stdout[-4000:]
