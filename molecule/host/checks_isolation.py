"""What an app that somebody has taken over can do to the other apps and to the machine: nothing."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .company import company

__all__ = ["company"]

pytestmark = pytest.mark.usefixtures("company")

# The app, and the exposure that `systemd-analyze security` may find of its units.
SCORES = {"intruder": 1.5, "homely": 1.0, "sealed": 1.0}
COMMON = "of-the-other-app"


def asked(vps: Any, app: str, path: str, *arguments: str) -> Any:
    answer = vps.https(f"{app}.localhost", path, *arguments)
    assert answer.status == 200, answer
    return answer.body


def units(vps: Any, app: str) -> dict[str, str]:
    release = vps.release(app)
    return {
        "server": f"{app}@{release}.service",
        "worker": f"{app}.work@{release}.service",
        "timer": f"{app}.tidy.service",
    }


def shown(vps: Any, unit: str, *properties: str) -> list[str]:
    """Properties of a unit, in the order that they are asked for in."""
    lines = vps.run("systemctl", "show", f"--property={','.join(properties)}", unit).splitlines()
    found = dict(line.split("=", 1) for line in lines)
    return [found[name] for name in properties]


@pytest.fixture(scope="module")
def target(vps: Any) -> Iterator[dict[str, str]]:
    """The other app as an intruder wishes to know it, with things lying about that everybody may read."""
    unit = f"guestbook@{vps.release('guestbook')}.service"
    common = f"/tmp/{COMMON} /dev/shm/{COMMON}"  # noqa: S108 - the very places to look at
    vps.run("sh", "-c", f"for file in {common}; do echo open >$file; chmod 0644 $file; done")
    memory = vps.run("ipcmk", "--shmem", "4096", "--mode", "0666").split()[-1]
    yield {
        "app": "guestbook",
        "pid": vps.run("systemctl", "show", "--property=MainPID", "--value", unit),
        "socket": vps.run("readlink", "/srv/guestbook/current/app.sock"),
        "database": "/srv/guestbook/shared/guestbook.db",
        "journal": vps.run("sh", "-c", "ls /var/log/journal/*/system.journal"),
        "common": COMMON,
        "memory": memory,
    }
    vps.run("sh", "-c", f"rm {common}; ipcrm --shmem-id {memory}")


@pytest.mark.parametrize("app", SCORES)
def test_every_way_out_is_refused_and_each_is_one(vps: Any, project: Path, target: dict[str, str], app: str) -> None:
    # Outside the sandbox, by root, each gets through: what refuses it is no mistake in the attempt.
    code = f"/srv/{app}/current/src/attempts.py"
    outside = json.loads(vps.run("python3", "-B", code, json.dumps(target)))
    send = ["--header", "Content-Type: application/json", "--data", json.dumps(target)]
    inside = json.loads(asked(vps, app, "/attempts", *send))
    table = [f"{name:50} {outside[name] or 'done':8} {inside[name] or 'DONE'}" for name in inside]
    report = "\n".join([f"{app + ' tries to':50} {'as root':8} in its sandbox", *table])
    (project / ".slipway" / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
    (project / ".slipway" / "logs" / f"isolation-{vps.name}-{app}.txt").write_text(f"{report}\n")
    assert len(inside) >= 15
    assert all(inside.values()), report
    assert not any(outside.values()), report


@pytest.mark.parametrize("app", SCORES)
def test_each_unit_is_sealed_and_does_its_work(vps: Any, app: str) -> None:
    named = units(vps, app)
    vps.run("systemctl", "start", named["timer"])
    for unit in named.values():
        report = vps.run("systemd-analyze", "security", "--no-pager", unit)
        level = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
        assert level, report
        assert float(level[1]) <= SCORES[app], report
    asked(vps, app, "/healthz")
    assert shown(vps, named["worker"], "ActiveState", "NRestarts") == ["active", "0"]
    assert shown(vps, named["timer"], "Result") == ["success"]
    assert "tidied" in vps.run("journalctl", "--output=cat", "--unit", named["timer"])


def test_an_app_reaches_the_networks_that_it_names(vps: Any) -> None:
    own = vps.run("sh", "-c", "ip -4 -o address show scope global | sed 's|.*inet ||; s|/.*||' | head -n 1")
    paths = {"localhost": "/reach/127.0.0.1/80", "beyond": f"/reach/{own}/80"}
    for path in paths.values():
        assert asked(vps, "intruder", path) == "open"
    assert asked(vps, "homely", paths["localhost"]) == "open"
    assert asked(vps, "homely", paths["beyond"]) != "open"
    for path in paths.values():
        assert asked(vps, "sealed", path) != "open"


def test_each_process_of_an_app_has_its_limits(vps: Any) -> None:
    for unit in units(vps, "intruder").values():
        limits = shown(vps, unit, "MemoryMax", "TasksMax", "CPUWeight", "LimitCORE")
        assert limits == [str(256 << 20), "64", "50", "0"], unit
    # Nobody has named any for this one.
    assert shown(vps, f"hello@{vps.release('hello')}.service", "MemoryMax", "CPUWeight") == ["infinity", "100"]


def test_a_memory_limit_is_kept_where_the_machine_can(vps: Any) -> None:
    unit = units(vps, "intruder")["server"]
    group = shown(vps, unit, "ControlGroup")[0]
    found = vps.run("sh", "-c", f"cat /sys/fs/cgroup{shlex.quote(group)}/memory.max", check=False)
    # A container with the old control groups has none of its own to set.
    assert found in {str(256 << 20), ""}
