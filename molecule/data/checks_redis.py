"""An app with a Redis of its own: what its visitors notice of it, and what everybody else can do with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from molecule.shared.waiting import until

from .guestbook import Guestbook

APP = "cached"
UNIT = f"slipway-redis@{APP}.service"
SOCKET = f"/run/redis-{APP}/redis.sock"
# The roles that decide over an app's Redis, in the order of site.yml; the others would take the other apps' sites away.
ROLES = """
- hosts: all
  gather_facts: false
  roles:
    - preflight
    - machine
    - redis
    - app_server
    - release
    - {role: redis, redis_state: forgotten}
"""


# What a migration may do while the release before it goes on serving.
ADDS = 'op.add_column("entries", sa.Column("mood", sa.String(20), nullable=True))'


@pytest.fixture(scope="module")
def book(vps: Any, tmp_path_factory: pytest.TempPathFactory) -> Guestbook:
    return Guestbook(vps, APP, tmp_path_factory.mktemp(APP))


def checked(book: Guestbook) -> dict[str, Any]:
    """What /readyz says, and the status that it says it with."""
    answer = book.vps.https(book.domain, "/readyz")
    return {"code": answer.status, **(json.loads(answer.body) if answer.body.startswith("{") else {})}


def wrong(records: list[dict[str, Any]]) -> list[str]:
    return [f"{record['kind']} {record['error']}" for record in records if record["error"]]


@pytest.fixture(scope="module")
def cli(vps: Any) -> Callable[..., str]:
    """A command to the Redis, as the app would give it."""
    return lambda *words: str(vps.run("runuser", "-u", APP, "--", "redis-cli", "-s", SOCKET, *words))


def info(cli: Callable[..., str], name: str) -> int:
    found = re.search(rf"^{name}:(\d+)", cli("info", "everything"), re.MULTILINE)
    assert found, name
    return int(found[1])


def test_a_deploy_with_a_migration_is_not_noticed(book: Guestbook, cli: Callable[..., str]) -> None:
    before, hits = book.release(), info(cli, "keyspace_hits")
    with book.visitors() as records:
        done = book.deploy(book.version(m2=ADDS))
        assert done.returncode == 0, done.stdout
        hits_then = info(cli, "keyspace_hits")
        until(lambda: info(cli, "keyspace_hits") > hits_then + 50, "pages to come from Redis after the switch too")
    assert wrong(records) == []
    assert book.release() != before
    assert len([record for record in records if record["kind"] == "again"]) > 20
    assert hits_then - hits > 50


def test_without_its_redis_the_app_serves_and_then_has_it_again(vps: Any, book: Guestbook) -> None:
    assert checked(book)["checks"] == {"database": "ok", "cache": "ok"}
    with book.visitors() as records:
        vps.run("systemctl", "stop", UNIT)
        until(lambda: checked(book)["status"] == "degraded", "/readyz to say that the cache is away")
        assert checked(book)["code"] == 200
        assert checked(book)["checks"] == {"database": "ok", "cache": "cannot connect"}
        vps.run("systemctl", "start", UNIT)
        until(lambda: checked(book)["status"] == "ok", "the app to have its cache again")
        vps.run("systemctl", "restart", UNIT)
        vps.run("systemctl", "kill", "--signal=KILL", UNIT)
        until(lambda: checked(book)["status"] == "ok", "Redis to be started again")
    assert wrong(records) == []


def test_a_redis_that_hangs_holds_nobody_up(vps: Any, book: Guestbook) -> None:
    vps.run("systemctl", "kill", "--signal=STOP", UNIT)
    try:
        assert vps.https(book.domain, "/", "--max-time", "5").status == 200
        assert checked(book)["checks"]["cache"] == "cannot connect"
    finally:
        vps.run("systemctl", "kill", "--signal=CONT", UNIT)
    until(lambda: checked(book)["status"] == "ok", "Redis to answer again")


def test_it_keeps_no_more_than_it_may(vps: Any, book: Guestbook, cli: Callable[..., str]) -> None:
    fill = "for n = 1, 48 do redis.call('set', ARGV[1] .. n, string.rep('x', 65536)) end"
    for number in range(12):
        cli("eval", fill, "0", f"fill:{number}:")
    assert info(cli, "maxmemory") == 16 << 20
    assert info(cli, "evicted_keys") > 100
    assert info(cli, "used_memory") < 20 << 20
    assert cli("config", "get", "maxmemory-policy").split()[1] == "allkeys-lru"
    assert vps.run("systemctl", "show", "--property=MemoryMax", "--value", UNIT) == str(96 << 20)
    assert checked(book)["status"] == "ok"


@pytest.mark.parametrize(
    "command",
    ["config set maxmemory 0", "config set dir /tmp", "shutdown", "replicaof 127.0.0.1 1", "acl list", "module list"],
)
def test_an_app_cannot_lift_the_limits(cli: Callable[..., str], command: str) -> None:
    assert "NOPERM" in cli(*command.split())


def test_its_unit_is_sealed_and_hears_no_network(vps: Any) -> None:
    report = vps.run("systemd-analyze", "security", "--no-pager", UNIT)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    assert level, report
    assert float(level[1]) <= 0.5, report
    assert ":6379" not in vps.run("ss", "-Hltn")
    # What the package would run by itself.
    assert vps.run("systemctl", "is-enabled", "redis-server", check=False) == "masked"
    assert vps.run("systemctl", "is-active", "redis-server", check=False) == "inactive"


def test_no_other_user_gets_at_it(vps: Any, project: Path) -> None:
    def pid(unit: str) -> str:
        return str(vps.run("systemctl", "show", "--property=MainPID", "--value", unit))

    facts = {"app": APP, "pid": pid(UNIT), "app_pid": pid(f"{APP}@{vps.release(APP)}.service"), "path": SOCKET}
    code = (project / "molecule/data/intrusions.py").read_text()
    command = ["python3", "-c", code, json.dumps(facts)]
    # By root each gets through: what refuses it is no mistake in the attempt.
    root = json.loads(vps.run(*command))
    for user in ("onsqlite", "www-data"):
        found = json.loads(vps.run("runuser", "-u", user, "--", *command))
        report = "\n".join(f"{name:45} root {root[name] or 'done':20} {user} {found[name] or 'DONE'}" for name in found)
        assert len(found) >= 20
        assert all(found.values()), report
        assert not any(root.values()), report


def test_it_goes_when_the_app_no_longer_needs_it_and_comes_back(vps: Any, book: Guestbook, tmp_path: Path) -> None:
    playbook = tmp_path / "redis.yml"
    playbook.write_text(ROLES)
    source = book.version(m2=ADDS)
    with book.visitors() as records:
        without = book.play(playbook, source, "redis", "redis_options")
        assert without.returncode == 0, without.stdout
        assert vps.run("systemctl", "is-active", UNIT, check=False) == "inactive"
        assert vps.run("find", "/etc/systemd/system", "/etc/slipway", "/run", "-path", f"*redis*{APP}*") == ""
        assert "cache" not in checked(book)["checks"]
        again = book.play(playbook, source)
        assert again.returncode == 0, again.stdout
        assert checked(book)["checks"]["cache"] == "ok"
    assert wrong(records) == []
