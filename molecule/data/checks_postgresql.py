"""The databases of the apps: migrations under load, a migration that fails, a server in trouble."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from molecule.shared.waiting import until

from .guestbook import Guestbook, apps, provide

# Each kind of database, and each app.
KINDS = ["onsqlite", "onpostgres"]
APPS = sorted(apps())
CLUSTER = "postgresql@*-main.service"
SCREEN = 40


@pytest.fixture
def book(request: pytest.FixtureRequest, vps: Any, tmp_path: Path) -> Iterator[Guestbook]:
    book = Guestbook(vps, request.param, tmp_path)
    yield book
    # Whoever comes next deploys the app as it is.
    book.undo()


@pytest.fixture(scope="module")
def postgres(vps: Any, tmp_path_factory: pytest.TempPathFactory) -> Guestbook:
    return Guestbook(vps, "onpostgres", tmp_path_factory.mktemp("postgres"))


def failed(records: list[dict[str, Any]]) -> list[str]:
    """Every request that went wrong, with its time and why."""
    return [
        f"{datetime.fromtimestamp(record['began'], UTC):%H:%M:%S.%f} {record['kind']} {record['error']}"
        for record in records
        if record["error"]
    ]


def screen(done: Any) -> str:
    return "\n".join(done.stdout.splitlines()[-SCREEN:])


# -- migrations

# What a migration may do while the release before it goes on serving: add, and fill in.
ADDS = """
with op.batch_alter_table("entries") as table:
    table.add_column(sa.Column("mood", sa.String(20), nullable=True))
op.execute("UPDATE entries SET mood = 'calm'")
"""
FAILS = """
with op.batch_alter_table("entries") as table:
    table.add_column(sa.Column("half", sa.String(20), nullable=True))
op.execute("UPDATE entries SET message = 'lost'")
op.execute("INSERT INTO nowhere VALUES (1)")
"""


@pytest.mark.parametrize("book", APPS, indirect=True)
def test_visitors_notice_nothing_of_a_deploy_with_a_migration(book: Guestbook) -> None:
    before = book.release()
    with book.visitors() as records:
        done = book.deploy(book.version(m2=ADDS))
        assert done.returncode == 0, screen(done)
        # So that some come after the switch, too.
        signed = len(book.messages())
        until(lambda: len(book.messages()) > signed + 20, "visitors to sign again")
    assert book.release() != before
    assert book.migration() == ["0002"]
    assert not failed(records), "\n".join(failed(records)[:20])
    kept = {record["mark"] for record in records if record["mark"]}
    assert len(kept) > 50
    assert kept <= book.messages()
    assert book.sql("SELECT count(*) FROM entries WHERE mood = 'calm'") != ["0"]


@pytest.mark.parametrize("book", KINDS, indirect=True)
def test_a_migration_that_fails_half_way_leaves_the_data_as_before(book: Guestbook) -> None:
    good, columns, at = book.release(), book.columns(), book.migration()
    with book.visitors() as records:
        done = book.deploy(book.version(m2=ADDS, m3=FAILS))
    assert done.returncode
    for word in ("release_command ended with exit code 1", "nowhere", f"Release {good} is still serving"):
        assert word in done.stdout, screen(done)
    assert (book.release(), book.columns(), book.migration()) == (good, columns, at)
    assert not failed(records), "\n".join(failed(records)[:20])
    assert {record["mark"] for record in records if record["mark"]} <= book.messages()
    assert "lost" not in book.messages()


# -- trouble


def process(postgres: Guestbook) -> list[str]:
    """What would be another one had systemd restarted the app."""
    unit = f"{postgres.name}@{postgres.release()}.service"
    return str(postgres.vps.run("systemctl", "show", "--property=MainPID,NRestarts", unit)).splitlines()


def troubled(postgres: Guestbook, told: str, cause: str) -> None:
    """The app lives and says what is wrong; a deploy is refused for that reason and changes nothing."""
    good, running = postgres.release(), process(postgres)
    until(lambda: postgres.ready() == (503, told), f"/readyz to say {told}, not {postgres.ready()}", 30)
    assert postgres.alive()
    built = postgres.vps.run("ls", f"/srv/{postgres.name}/releases")
    done = postgres.deploy(postgres.version())
    assert done.returncode
    for word in (f"cannot be used: {cause}", f"Release {good} is still serving"):
        assert word in screen(done), screen(done)
    assert postgres.release() == good
    assert postgres.vps.run("ls", f"/srv/{postgres.name}/releases") == built
    assert postgres.alive()
    assert process(postgres) == running


@contextlib.contextmanager
def stopped(postgres: Guestbook) -> Iterator[None]:
    postgres.vps.run("systemctl", "stop", "postgresql.service")
    try:
        yield
    finally:
        postgres.vps.run("systemctl", "start", "postgresql.service")


def test_a_server_that_is_stopped(postgres: Guestbook) -> None:
    running = process(postgres)
    with stopped(postgres):
        troubled(postgres, "cannot connect", "it does not run, or cannot be reached")
    postgres.await_ready()
    assert process(postgres) == running
    assert postgres.vps.https(postgres.domain).status == 200


def test_a_server_that_is_restarted_under_load(postgres: Guestbook) -> None:
    running = process(postgres)
    with postgres.visitors() as records:
        signed = len(postgres.messages())
        postgres.vps.run("systemctl", "restart", CLUSTER)
        postgres.await_ready()
        until(lambda: len(postgres.messages()) > signed + 20, "visitors to sign again")
        since = float(postgres.vps.run("date", "+%s.%N"))
        signed = len(postgres.messages())
        until(lambda: len(postgres.messages()) > signed + 20, "visitors to sign once more")
    assert process(postgres) == running
    assert [record for record in records if record["error"] and record["began"] > since] == []
    # What a visitor was told is signed, is there.
    assert {record["mark"] for record in records if record["mark"]} <= postgres.messages()


@contextlib.contextmanager
def crowded(postgres: Guestbook) -> Iterator[None]:
    """Every connection that the app may have, taken by somebody else."""
    name = postgres.name
    held = f"FROM pg_stat_activity WHERE usename = '{name}' AND application_name"
    hold = f"cd /; PGAPPNAME=crowd exec runuser -u {name} -- psql -XAtq -d {name} -c 'SELECT pg_sleep(300)'"
    [limit] = postgres.psql(f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{name}'")

    def full() -> bool:
        taken = int(postgres.psql(f"SELECT count(*) {held} = 'crowd'")[0])
        if taken < int(limit):
            postgres.psql(f"SELECT pg_terminate_backend(pid) {held} <> 'crowd'")
            more = f'for n in $(seq {int(limit) - taken}); do systemd-run --quiet --collect sh -c "$0"; done'
            postgres.vps.run("sh", "-c", more, hold)
        return taken == int(limit)

    try:
        until(full, "all connections to be taken")
        yield
    finally:
        postgres.psql(f"SELECT pg_terminate_backend(pid) {held} = 'crowd'")


def test_a_server_that_is_out_of_connections(postgres: Guestbook) -> None:
    running = process(postgres)
    with crowded(postgres):
        troubled(postgres, "too many connections", "it is out of connections")
        # That is the app's own share: others have theirs.
        assert postgres.psql("SELECT 1") == ["1"]
    postgres.await_ready()
    assert process(postgres) == running


@contextlib.contextmanager
def full_disk(postgres: Guestbook) -> Iterator[None]:
    """The app's database on a small disk of its own, which is full."""
    name, run = postgres.name, postgres.vps.run

    def move(where: str) -> None:
        run("sh", "-euc", f"""
            cd /
            sql() {{ runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d postgres -c "$1"; }}
            sql 'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'
            sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'" >/dev/null
            sql 'ALTER DATABASE "{name}" SET TABLESPACE {where}'
            sql 'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'
        """)  # fmt: skip

    run("sh", "-euc", """
        mkdir /mnt/small
        mount -t tmpfs -o size=48m,mode=0700,uid=$(id -u postgres),gid=$(id -g postgres) small /mnt/small
        cd /; runuser -u postgres -- psql -Xq -d postgres -c "CREATE TABLESPACE small LOCATION '/mnt/small'"
    """)  # fmt: skip
    try:
        move("small")
        run("sh", "-c", "dd if=/dev/zero of=/mnt/small/filler bs=64k 2>/dev/null; sync")
        yield
        run("rm", "/mnt/small/filler")
        postgres.await_ready()
    finally:
        run("rm", "-f", "/mnt/small/filler")
        move("pg_default")
        drop = "cd /; runuser -u postgres -- psql -Xq -d postgres -c 'DROP TABLESPACE small'"
        run("sh", "-euc", f"{drop}; umount /mnt/small; rmdir /mnt/small")


def test_a_server_whose_disk_is_full(postgres: Guestbook) -> None:
    running, before = process(postgres), len(postgres.messages())
    with full_disk(postgres):
        troubled(postgres, "its disk is full", "its disk is full")
    postgres.await_ready()
    assert process(postgres) == running
    assert len(postgres.messages()) == before


# -- what is where


def test_the_cluster_is_made_as_it_should_be(postgres: Guestbook) -> None:
    def shown(name: str) -> str:
        return "".join(postgres.psql(f"SHOW {name}"))

    assert shown("data_checksums") == "on"
    assert shown("server_encoding") == "UTF8"
    assert shown("listen_addresses") == ""
    assert shown("log_min_duration_statement") == "1s"
    assert postgres.psql("SELECT count(*) FROM pg_settings WHERE pending_restart") == ["0"]
    assert postgres.psql("SELECT extname FROM pg_extension WHERE extname = 'citext'") == ["citext"]
    assert postgres.vps.run("ss", "-Hltn", "sport = :5432") == ""
    # It starts for as long as it says so itself: a link would go on starting it when its data has moved to a newer one.
    assert postgres.vps.run("find", "/etc/systemd/system", "-name", "postgresql@*") == ""


def test_a_slow_statement_is_logged_without_its_values(postgres: Guestbook) -> None:
    code = """
import json, os, sqlalchemy
address = json.load(open(os.environ["APP_SETTINGS"]))["SQLALCHEMY_DATABASE_URI"]
word = {"word": "nobodys-business"}
sqlalchemy.create_engine(address).connect().execute(sqlalchemy.text("SELECT pg_sleep(1.1), CAST(:word AS text)"), word)
"""
    postgres.vps.run("slipway", "run", postgres.name, "python", "-c", code)
    log = postgres.vps.run("sh", "-c", "tail -n 40 /var/log/postgresql/postgresql-*-main.log")
    assert re.search(r"duration: 1[0-9]{3}\.[0-9]+ ms .*pg_sleep", log), log
    assert "nobodys-business" not in log


def test_the_sandbox_is_tight_and_lets_the_database_in(postgres: Guestbook) -> None:
    unit = f"{postgres.name}@{postgres.release()}.service"
    report = postgres.vps.run("systemd-analyze", "security", "--no-pager", unit)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    assert level
    assert float(level[1]) <= 1.0, report
    assert "postgresql.service" in postgres.vps.run("systemctl", "show", "-P", "After", unit).split()
    assert "postgresql" not in postgres.vps.run("systemctl", "show", "-P", "Requires", unit)
    assert postgres.ready() == (200, "ok")


def test_who_asks_for_none_does_not_even_see_the_socket(vps: Any) -> None:
    hidden = vps.run("systemctl", "show", "-P", "InaccessiblePaths", f"onsqlite@{vps.release('onsqlite')}.service")
    assert "-/run/postgresql" in hidden.split()


# -- another run


# As site.yml has it, by preflight's reckoning.
ROLE = {"postgresql_apps": {"onpostgres": {"extensions": ["citext"], "connections": 15}}}


def test_what_somebody_changed_is_foretold_and_put_right(vps: Any, postgres: Guestbook, tmp_path: Path) -> None:
    assert "changed=0 " in provide(vps, tmp_path, **ROLE)
    postgres.psql(f'ALTER ROLE "{postgres.name}" CREATEDB')
    postgres.psql(f'GRANT CONNECT ON DATABASE "{postgres.name}" TO PUBLIC')
    postgres.psql("DROP EXTENSION citext")
    state = (
        "SELECT rolcreatedb, has_database_privilege('public', rolname, 'CONNECT'), "
        f"(SELECT count(*) FROM pg_extension WHERE extname = 'citext') FROM pg_roles WHERE rolname = '{postgres.name}'"
    )
    assert postgres.psql(state) == ["t|t|0"]
    assert "changed=3 " in provide(vps, tmp_path, "--check", "--diff", **ROLE)
    assert postgres.psql(state) == ["t|t|0"]
    assert "changed=3 " in provide(vps, tmp_path, **ROLE)
    assert postgres.psql(state) == ["f|f|1"]
    assert "changed=0 " in provide(vps, tmp_path, "--check", "--diff", **ROLE)


def test_no_run_restarts_a_server_that_serves_unless_told(vps: Any, postgres: Guestbook, tmp_path: Path) -> None:
    def server() -> str:
        return str(vps.run("systemctl", "show", "-P", "MainPID", CLUSTER))

    before = server()
    more = ROLE | {"postgresql_settings": {"max_worker_processes": 9}}
    assert postgres.vps.https(postgres.domain).status == 200
    # To whom this Debian's version is another one, it says how to move, and moves nothing.
    said = provide(vps, tmp_path, "-e", "__postgresql_newest=99", **more)
    assert "and this Debian has 99. Nothing moves it by itself" in said
    assert "pg_upgradecluster" in said
    assert "PostgreSQL takes max_worker_processes over at its next restart" in said
    assert "PostgreSQL takes max_worker_processes over at its next restart" in provide(vps, tmp_path, **more)
    assert server() == before
    provide(vps, tmp_path, **more, postgresql_restart=True)
    assert server() != before
    assert postgres.psql("SHOW max_worker_processes") == ["9"]
    postgres.await_ready()
    provide(vps, tmp_path, **ROLE, postgresql_restart=True)
    assert postgres.psql("SELECT count(*) FROM pg_settings WHERE pending_restart") == ["0"]


def test_too_many_connections_are_refused_before_anything_changes(vps: Any) -> None:
    done = vps.playbook("site.yml", "-e", "postgresql_max_connections=20")
    assert done.returncode
    for word in ("Nothing was changed", "postgresql_max_connections: is 20", "server.processes", "server.threads"):
        assert word in done.stdout, screen(done)
