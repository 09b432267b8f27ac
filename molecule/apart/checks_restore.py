"""The app's data, brought back over the network: drills, restores, who may do that, and an app that goes."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from molecule.shared.waiting import until

from .database import APP, ASK, DOMAIN, Server, address, ask, given

REPOSITORY = "/var/backups/slipway"
CONFIG = "/etc/slipway/backup.json"
FILL = """
INSERT INTO entries (name, message, created_at)
SELECT 'Ada', 'entry ' || n, CURRENT_TIMESTAMP FROM generate_series(1, 60) AS n
"""
SCREEN = 60


def screen(done: Any) -> str:
    return "\n".join([*done.stdout.splitlines()[-SCREEN:], done.stderr])


class Host:
    """The app's host as its operator has it.

    Args:
        vps: the test VPS.
    """

    def __init__(self, vps: Any) -> None:
        self.vps = vps

    def slipway(self, *words: str, **variables: str) -> tuple[int, Any]:
        """What the host's program answers, and its exit code."""
        command = shlex.join(
            ["env", *(f"{name}={value}" for name, value in variables.items()), "slipway", "--json", *words]
        )
        done = subprocess.run([*self.vps.ssh, command], capture_output=True, text=True, check=False)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, {"msg": done.stdout + done.stderr}

    def done(self, *words: str, **variables: str) -> Any:
        code, answer = self.slipway(*words, **variables)
        assert code == 0, answer["msg"]
        return answer

    def refused(self, *words: str, **variables: str) -> str:
        code, answer = self.slipway(*words, **variables)
        assert code != 0, answer
        return str(answer["msg"])

    def config(self, name: str, **changes: Any) -> str:
        """Another configuration than the host's own."""
        path = f"/root/{name}.json"
        data = json.loads(self.vps.run("cat", CONFIG)) | changes
        self.vps.run("sh", "-c", f"echo {shlex.quote(json.dumps(data))} >{path}")
        return path

    def restic(self, *words: str, repository: str = REPOSITORY) -> str:
        variables = ["RESTIC_PASSWORD_FILE=/etc/slipway/backup.password", "RESTIC_CACHE_DIR=/var/cache/slipway/restic"]
        return str(self.vps.run("env", *variables, "restic", "-r", repository, *words))

    @contextlib.contextmanager
    def frozen(self, point: str, *words: str, **variables: str) -> Iterator[None]:
        """A command of the program that stands still at a point, and is killed there when the block ends."""
        variables["SLIPWAY_FAULT"] = point
        command = shlex.join(["env", *(f"{name}={value}" for name, value in variables.items()), "slipway", *words])
        pipe = subprocess.PIPE
        session = subprocess.Popen([*self.vps.ssh, command], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert session.stderr is not None
        said = session.stderr.readline()
        assert f"frozen at {point}" in said, said
        try:
            yield
        finally:
            # Of all the programs here, these alone stand still.
            self.vps.run(
                "sh", "-c", "ps -eo pid=,stat=,args= | awk '$2 ~ /^T/ && /slipway/ {print $1}' | xargs kill -KILL"
            )
            session.communicate(timeout=120)


@pytest.fixture(scope="module")
def server(vps: Any) -> Server:
    return Server(vps)


@pytest.fixture(scope="module")
def host(vps: Any) -> Host:
    return Host(vps)


def change(vps: Any, statement: str) -> None:
    """Change the data behind the app's back, with its own login."""
    said = ask(vps, f"WITH nothing AS (SELECT 1) SELECT 1; {statement}")
    assert said in {"1", ""}, said


def rows(server: Server) -> list[str]:
    return server.sql("SELECT id, name, md5(message), created_at FROM entries ORDER BY id")


@pytest.fixture(scope="module")
def filled(vps: Any, server: Server, host: Host) -> str:
    """A backup of rows that can be lost."""
    change(vps, FILL)
    assert len(rows(server)) >= 60
    return str(host.done("backup", APP)[0]["backup"])


# -- the drill


def test_a_drill_restores_it_there_and_compares(server: Server, host: Host, filled: str) -> None:
    before = rows(server)
    (done,) = host.done("drill", APP)
    assert (done["backup"], done["rows"]) == (filled, len(before))
    assert rows(server) == before
    assert server.databases() == [APP]


def craft(host: Host, spoil: str) -> str:
    """A repository whose newest backup is spoilt by a command that runs where its copies are."""
    staging, place = f"/var/lib/slipway/backup/.work/{APP}/staging", "/root/spoilt"
    host.vps.run("rm", "-rf", place)
    host.vps.run("cp", "-a", REPOSITORY, place)
    newest = json.loads(host.restic("snapshots", "--json", "--tag", f"app={APP},kind=manual"))[-1]
    host.restic("restore", newest["short_id"], "--target", "/", "--include", staging)
    host.vps.run("env", "-C", staging, "sh", "-c", spoil)
    tags = ["--tag", ",".join(newest["tags"]), "--host", newest["hostname"]]
    host.restic("backup", *tags, staging, f"/srv/{APP}/shared", repository=place)
    host.vps.run("rm", "-rf", staging)
    return host.config("spoilt", repository=place, wait=5)


# What only a database that is filled from it can tell.
SPOILT = {
    "other rows": ("sed -i 's/entry 7/entry X/' postgresql.dump", "the content of public.entries is not what it was"),
    "more than its disk holds": (
        """sed -i 's/"size": [0-9]*/"size": 1125899906842624/' manifest.json""",
        "The disk that holds the databases of",
    ),
}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("kind", SPOILT)
def test_a_drill_tells_a_spoilt_backup(server: Server, host: Host, kind: str) -> None:
    command, why = SPOILT[kind]
    config = craft(host, command)
    before = rows(server)
    assert why in host.refused("drill", APP, SLIPWAY_BACKUP=config)
    status = json.loads(host.vps.run("cat", f"/var/lib/slipway/backup/status/{APP}.json"))
    assert status["drill"]["result"] == "failed"
    assert rows(server) == before
    assert server.databases() == [APP]


def test_two_hosts_do_not_try_it_at_once(host: Host, server: Server, filled: str) -> None:
    # What a host knows of its own doings is in its state: with another one it is another host.
    other = {"SLIPWAY_BACKUP_STATE": "/root/other-host", "SLIPWAY_BACKUP": host.config("impatient", wait=1)}
    with host.frozen("trial:dumps", "drill", APP):
        said = host.refused("drill", APP, **other)
        assert f"Another host of {APP} (10." in said, said
        assert f"in the database {APP}.drill" in said
    (done,) = host.done("drill", APP, **other)
    assert done["backup"] == filled
    assert server.databases() == [APP]


@pytest.mark.usefixtures("filled")
def test_an_extension_that_only_postgres_may_make_is_named(server: Server, host: Host) -> None:
    control = server.run("sh", "-c", "ls /usr/share/postgresql/*/extension/pg_buffercache.control")
    server.sql("CREATE EXTENSION pg_buffercache")
    try:
        host.done("backup", APP)
        said = host.refused("drill", APP)
        assert "Making the extension pg_buffercache" in said
        assert "Add the line trusted = true to pg_buffercache.control" in said
        server.run("sh", "-c", f"echo 'trusted = true' >>{control}")
        host.done("drill", APP)
    finally:
        server.run("sed", "-i", "/^trusted/d", control)
        server.sql("DROP EXTENSION pg_buffercache")
    assert server.databases() == [APP]


# -- the restore


@contextlib.contextmanager
def neighbour(vps: Any) -> Iterator[None]:
    """The app of another host, which connects whenever it is not connected."""
    words = [*given(address(vps)), "sh", "-c", "while :; do psql -XAtqc 'SELECT pg_sleep(30)'; done"]
    unit = "neighbour.service"
    vps.run("systemd-run", "--quiet", f"--unit={unit}", "--property=KillMode=control-group", "env", *words)
    try:
        yield
    finally:
        vps.run("systemctl", "stop", unit)


def test_rows_that_were_dropped_and_changed_come_back(vps: Any, server: Server, host: Host, filled: str) -> None:
    before = rows(server)
    change(
        vps, "DELETE FROM entries WHERE id % 2 = 0; UPDATE entries SET message = 'changed'; DROP TABLE alembic_version"
    )
    damaged = rows(server)
    assert damaged != before
    # A dry run restores it beside the one that serves, and takes it away again.
    tried = vps.playbook("playbooks/restore.yml", "-e", f"app={APP}", "-e", f"backup={filled}", "--check")
    assert tried.returncode == 0, screen(tried)
    assert "They can be restored: every row is as it was. Nothing was changed." in tried.stdout
    assert (rows(server), server.databases()) == (damaged, [APP])
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)'"
    with neighbour(vps):
        until(lambda: server.sql(sleeping) != ["0"], "another host's app to connect")
        done = vps.playbook("playbooks/restore.yml", "-e", f"app={APP}", "-e", f"backup={filled}")
        assert done.returncode == 0, screen(done)
        # It is back in the one that serves now.
        until(lambda: server.sql(sleeping) != ["0"], "another host's app to come back")
    assert filled in done.stdout
    assert rows(server) == before
    assert (vps.https(DOMAIN, "/readyz").status, ask(vps)) == (200, "let in as apart")
    page = vps.https(DOMAIN)
    assert "entry 60" in page.body
    # What it replaced is kept, and nobody gets into it by network.
    [kept] = host.done("restored", APP)
    assert server.databases() == [APP, kept["database"]]
    assert server.sql("SELECT count(*) FROM entries WHERE message = 'changed'", database=kept["database"]) != ["0"]
    assert "no pg_hba.conf entry" in ask(vps, PGDATABASE=kept["database"])
    host.done("restored", APP, "--forget-old")
    assert server.databases() == [APP]


def test_a_restore_that_dies_is_undone_and_lets_nobody_else_in(
    vps: Any, server: Server, host: Host, filled: str
) -> None:
    before = rows(server)
    server.sql("CREATE ROLE other_0123abcd LOGIN PASSWORD 'another-app-of-this-server'")
    stranger = {"PGUSER": "other_0123abcd", "PGPASSWORD": "another-app-of-this-server"}
    change(vps, "DELETE FROM entries WHERE id = (SELECT max(id) FROM entries)")
    fewer = rows(server)
    try:
        with host.frozen("swap:database", "restore", APP, "--backup", filled):
            assert len(server.databases()) == 2
            assert rows(server) == before
            # Not even into what was made from a template that lets everybody in.
            assert server.sql(f"SELECT has_database_privilege('other_0123abcd', '{APP}', 'CONNECT')") == ["f"]
            for database in (APP, f"{APP}.new", f"{APP}.drill", "postgres"):
                assert "no pg_hba.conf entry" in ask(vps, PGDATABASE=database, **stranger)
    finally:
        server.sql("DROP ROLE other_0123abcd")
    until(lambda: vps.https(DOMAIN, "/readyz").status == 200, "the app to be back")
    assert (rows(server), server.databases()) == (fewer, [APP])


# -- who may do that


NOT_THE_APP_S = {
    "make a database": ({}, f'CREATE DATABASE "{APP}.mine"', "permission denied to create database"),
    "rename its own": ({}, f'ALTER DATABASE {APP} RENAME TO "{APP}.mine"', "cannot be renamed|permission denied"),
    "make a role": ({}, "CREATE ROLE mine LOGIN", "permission denied to create role"),
    "come into the one from which that is done": ({"PGDATABASE": "postgres"}, "SELECT 1", "no pg_hba.conf entry"),
}


@pytest.mark.parametrize("name", NOT_THE_APP_S)
def test_the_app_s_own_login_does_not_get_far(vps: Any, server: Server, name: str) -> None:
    changes, statement, why = NOT_THE_APP_S[name]
    said = ask(vps, statement, **changes)
    assert any(each in said for each in why.split("|")), said
    assert server.databases() == [APP]


def test_only_root_has_what_a_restore_logs_in_with(vps: Any, server: Server) -> None:
    command = ["runuser", "-u", APP, "--", "sh", "-c", "cat /etc/slipway/backup.password 2>&1; true"]
    assert "Permission denied" in vps.run(*command)
    [login] = server.sql(f"SELECT rolname FROM pg_roles WHERE rolname ~ '^{APP}[.]restore_'")
    code = "import sys; sys.path.insert(0, '/usr/local/bin/slipway'); from pathlib import Path\n"
    code += "from slipway.data import credentials\n"
    code += f"found = credentials.of_restorer('{APP}', Path('/etc/slipway/backup.password'))\n"
    code += "print(found['PGUSER'], found['PGPASSWORD'])"
    user, password = vps.run("python3", "-c", code).split()
    assert user == login
    said = ask(vps, "SELECT slipway_free() > 0", user="root", PGUSER=user, PGPASSWORD=password, PGDATABASE="postgres")
    assert said == "t"
    # It owns what the app owns, and that is all.
    mine = {"PGUSER": user, "PGPASSWORD": password, "PGDATABASE": "postgres"}
    assert "permission denied" in ask(vps, "SELECT * FROM pg_authid", user="root", **mine)
    assert "pg_execute_server_program" in ask(vps, "COPY (SELECT 1) TO PROGRAM 'id'", user="root", **mine)
    assert "must be owner" in ask(vps, "ALTER DATABASE postgres RENAME TO mine", user="root", **mine)
    for look in ("journalctl --no-pager", "cat /proc/[0-9]*/cmdline", "cat /var/log/postgresql/*"):
        # In its own process list the search would find itself.
        search = f"{look} 2>/dev/null | grep -c -a -e '[{password[0]}]{password[1:]}'"
        assert vps.run("sh", "-c", search, check=False) == "0", look
        assert server.run("sh", "-c", search, check=False) == "0", look


# -- an app that goes: last, since nothing is left of it


def absent(vps: Any, data: str, *arguments: str) -> None:
    apps = {"apps": {APP: {"state": "absent", "data": data}}}
    done = vps.playbook("site.yml", "-e", json.dumps(apps), *arguments)
    assert done.returncode == 0, screen(done)


@pytest.mark.usefixtures("filled")
def test_with_the_app_its_database_goes_when_told_so(vps: Any, server: Server) -> None:
    # As a restore leaves one.
    server.sql(f'CREATE DATABASE "{APP}.old-20261120T030000Z" OWNER {APP}')
    databases, before, found = server.databases(), rows(server), address(vps)
    # Whoever names the database's host alone cannot know whether the app's hosts still run it.
    absent(vps, "delete", "--limit", "database")
    assert server.databases() == databases

    absent(vps, "keep")
    assert vps.run("sh", "-c", f"getent passwd {APP}; true") == ""
    assert (server.databases(), rows(server)) == (databases, before)
    roles = f"SELECT rolname || ' ' || rolcanlogin FROM pg_roles WHERE rolname ~ '^{APP}' ORDER BY 1"
    assert server.sql(roles) == [f"{APP} false"]
    command = ["env", *given(found), "sh", "-c", '"$@" 2>&1 || true', "sh", *ASK, "-c", "SELECT 'let in'"]
    said = vps.run(*command)
    assert "authentication failed" in said or "timeout expired" in said, said

    absent(vps, "delete")
    assert server.databases() == []
    assert server.sql(roles, database="postgres") == []
