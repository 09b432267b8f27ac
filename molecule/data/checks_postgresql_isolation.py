"""What an app that somebody has taken over can do to the database of another one: nothing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .guestbook import provide

A, B = "onpostgres", "other"
# As site.yml would have it, had the inventory both.
APPS: dict[str, Any] = {A: {"extensions": ["citext"], "connections": 15}, B: {}}
PSQL = "psql -XAtqw -v ON_ERROR_STOP=1"
READ = "SELECT * FROM secrets"
SECRET = "only-for-the-other-app"  # noqa: S105 - it is none

# As the user and with the role of app A, outside the sandbox, which would refuse some of it before PostgreSQL does.
ATTEMPTS = {
    "connect to the other database": f"{PSQL} -d {B} -c '{READ}'",
    "say that it is the other role": f"{PSQL} -U {B} -d {B} -c '{READ}'",
    "say that it is postgres": f"{PSQL} -U postgres -d {B} -c '{READ}'",
    "call itself the other user": f"env USER={B} LOGNAME={B} PGUSER={B} {PSQL} -d {B} -c '{READ}'",
    "come by TCP": f"{PSQL} -h 127.0.0.1 -U {B} -d {B} -c '{READ}'",
    "come by TCP over IPv6": f"{PSQL} -h ::1 -U {B} -d {B} -c '{READ}'",
    "name the socket's file": f"{PSQL} 'host=/var/run/postgresql port=5432 user={B} dbname={B}' -c '{READ}'",
    "guess a password": f"env PGPASSWORD={B} psql -XAtq -U {B} -d {B} -c '{READ}'",
    "have a password in a file": f"env PGPASSFILE=/tmp/guessed {PSQL} -U {B} -d {B} -c '{READ}'",
    "change over from its own database": f"{PSQL} -d {A} -c '\\connect {B}' -c '{READ}'",
    "take the other role": f"{PSQL} -d {A} -c 'SET ROLE {B}'",
    "begin with the other role": f"env PGOPTIONS='-c role={B}' {PSQL} -d {A} -c 'SELECT 1'",
    "take the superuser's role": f"{PSQL} -d {A} -c 'SET ROLE postgres'",
    "become the other session": f"{PSQL} -d {A} -c 'SET SESSION AUTHORIZATION {B}'",
    "let itself in": f"{PSQL} -d {A} -c 'GRANT CONNECT ON DATABASE {B} TO {A}'",
    "join the other role": f"{PSQL} -d {A} -c 'GRANT {B} TO {A}'",
    "become superuser": f"{PSQL} -d {A} -c 'ALTER ROLE {A} SUPERUSER'",
    "give the other role a password": f"{PSQL} -d {A} -c \"ALTER ROLE {B} PASSWORD 'x'\"",
    "make a role": f"{PSQL} -d {A} -c 'CREATE ROLE mine LOGIN'",
    "make a copy of the other database": f"{PSQL} -d {A} -c 'CREATE DATABASE mine TEMPLATE {B}'",
    "rename the other database": f"{PSQL} -d {A} -c 'ALTER DATABASE {B} RENAME TO mine'",
    "drop the other database": f"{PSQL} -d {A} -c 'DROP DATABASE {B}'",
    "open the server to the network": f"{PSQL} -d {A} -c \"ALTER SYSTEM SET listen_addresses = '*'\"",
    "reach over with dblink": f"{PSQL} -d {A} -c 'CREATE EXTENSION dblink'",
    "reach over with postgres_fdw": f"{PSQL} -d {A} -c 'CREATE EXTENSION postgres_fdw'",
    "run a program as the server": f"{PSQL} -d {A} -c \"COPY (SELECT 1) TO PROGRAM 'psql -d {B}'\"",
    "have the server write a file": f"{PSQL} -d {A} -c \"COPY (SELECT 1) TO '/tmp/mine'\"",
    "have the server read a file": f"{PSQL} -d {A} -c \"SELECT pg_read_file('postgresql.auto.conf')\"",
    "import a file as a large object": f"{PSQL} -d {A} -c \"SELECT lo_import('/etc/hostname')\"",
    "load a library": f"{PSQL} -d {A} -c \"LOAD '/tmp/mine.so'\"",
    "end the other app's sessions": f'{PSQL} -d {A} -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity '
    f"WHERE datname = '{B}'\"",
    "read the data directory": "sh -c 'ls /var/lib/postgresql/*/main/base'",
    "read who is let in": "sh -c 'cat /etc/postgresql/*/main/pg_hba.conf'",
    "let itself in by file": f"sh -c 'echo local all {A} trust >>/etc/postgresql/*/main/pg_hba.conf'",
    "take a backup of the whole": "pg_basebackup -w -D /tmp/mine -U onpostgres",
    "dump the other database": f"pg_dump -w {B}",
}
# The same by root, the other app or the server's own user, to see that what refuses it is no mistake in the attempt.
CONTROLS = {
    "connect to the other database": (B, f"{PSQL} -d {B} -c '{READ}'"),
    "take the other role": ("postgres", f"{PSQL} -d {A} -c 'SET ROLE {B}'"),
    "reach over with dblink": ("postgres", f"{PSQL} -d {A} -c 'BEGIN; CREATE EXTENSION dblink; ROLLBACK'"),
    "run a program as the server": ("postgres", f"{PSQL} -d {A} -c \"COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'\""),
    "have the server read a file": ("postgres", f"{PSQL} -d {A} -c \"SELECT pg_read_file('postgresql.auto.conf')\""),
    "read the data directory": ("postgres", "sh -c 'ls /var/lib/postgresql/*/main/base'"),
    "read who is let in": ("postgres", "sh -c 'cat /etc/postgresql/*/main/pg_hba.conf'"),
}


@pytest.fixture(scope="module", autouse=True)
def other(vps: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A second database, as the role makes them, with somebody who is connected to it."""
    scratch = tmp_path_factory.mktemp("other")
    vps.run("useradd", "--system", B)
    vps.run("sh", "-euc", f"echo '*:*:*:*:{B}' >/tmp/guessed; chmod 0600 /tmp/guessed; chown {A} /tmp/guessed")
    provide(vps, scratch, postgresql_apps=APPS)
    made = f"CREATE TABLE secrets (word text); INSERT INTO secrets VALUES ('{SECRET}')"
    assert as_user(vps, B, f'{PSQL} -d {B} -c "{made}"') == (0, "")
    stay = shlex.split(f"runuser -u {B} -- {PSQL} -d {B} -c")
    vps.run("systemd-run", "--quiet", "--unit=visitor", *stay, "SELECT pg_sleep(300)")
    yield scratch
    vps.run("systemctl", "stop", "visitor", check=False)
    vps.run("userdel", B)
    provide(vps, scratch, postgresql_apps={A: APPS[A]})


def as_user(vps: Any, user: str, command: str) -> tuple[int, str]:
    """Exit code and all that was said."""
    script = f'cd /; said=$(runuser -u {user} -- {command} 2>&1); code=$?; echo $code; printf %s "$said"'
    code, _, said = vps.run("sh", "-c", script).partition("\n")
    return int(code), said


def test_another_app_s_database_is_out_of_reach(vps: Any) -> None:
    table, reached = [], []
    for name, command in ATTEMPTS.items():
        code, said = as_user(vps, A, command)
        # Two of them say nothing and do nothing, or only their errors.
        line = said.strip().splitlines()[-1] if said.strip() else f"exit code {code}"
        table.append(f"{name:40} {'REACHED' if code == 0 else line}")
        if code == 0 or SECRET in said:
            reached.append(f"{name}: {said}")
    assert reached == [], "\n".join(table)
    assert len(ATTEMPTS) >= 10
    assert as_user(vps, B, f"{PSQL} -d {B} -c '{READ}'") == (0, SECRET)


@pytest.mark.parametrize("name", CONTROLS)
def test_whoever_may_gets_through(vps: Any, name: str) -> None:
    user, command = CONTROLS[name]
    code, said = as_user(vps, user, command)
    assert code == 0, said


def test_an_app_s_own_words_in_a_query_are_not_for_others(vps: Any) -> None:
    ask = f"SELECT query FROM pg_stat_activity WHERE datname = '{B}'"
    code, said = as_user(vps, A, f'{PSQL} -d {A} -c "{ask}"')
    assert code == 0
    assert said.strip() == "<insufficient privilege>"


def test_an_app_without_a_database_there_gets_nowhere(vps: Any) -> None:
    for database in (A, B, "postgres", "template1"):
        code, said = as_user(vps, "onsqlite", f"{PSQL} -d {database} -c 'SELECT 1'")
        assert code, said


def test_what_is_taken_away_is_kept_for_nobody_until_it_is_deleted(vps: Any, other: Path) -> None:
    ask = f"{PSQL} -d {B} -c '{READ}'"
    vps.run("systemctl", "stop", "visitor")
    provide(vps, other, postgresql_absent=B)
    code, said = as_user(vps, B, ask)
    assert code
    assert "not permitted to log in" in said
    assert as_user(vps, "postgres", ask) == (0, SECRET)

    provide(vps, other, postgresql_apps=APPS)
    assert as_user(vps, B, ask) == (0, SECRET)

    # As a restore leaves it.
    beside = f'CREATE DATABASE "{B}.old-20261120T030000Z" OWNER {B}'
    assert as_user(vps, "postgres", f"{PSQL} -d postgres -c {shlex.quote(beside)}") == (0, "")
    provide(vps, other, postgresql_absent=B, postgresql_absent_data=True)
    code, said = as_user(vps, "postgres", ask)
    assert code
    assert f'database "{B}" does not exist' in said
    left = f"SELECT rolname FROM pg_roles WHERE rolname = '{B}'"
    left += f" UNION SELECT datname FROM pg_database WHERE datname LIKE '{B}%'"
    assert as_user(vps, "postgres", f'{PSQL} -d postgres -c "{left}"') == (0, "")
    # Once more is no mistake.
    provide(vps, other, postgresql_absent=B, postgresql_absent_data=True)
