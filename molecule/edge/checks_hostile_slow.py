"""Thousands of clients who send and read as slowly as they may, or ask all the time, and one who notices nothing."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .observed import DOMAIN

PROGRAM = "/root/slow.py"
COUNTS = {"headers": 4000, "body": 900, "read": 300}
VISITS = 200


@pytest.fixture(scope="module", autouse=True)
def _program(vps: Any) -> None:
    source = (Path(__file__).parent / "slow.py").read_bytes()
    subprocess.run([*vps.ssh, f"cat >{PROGRAM}"], input=source, check=True)


@contextlib.contextmanager
def attack(vps: Any, counts: dict[str, int]) -> Iterator[list[dict[str, dict[str, int]]]]:
    """Keeps that many clients of each kind connected while the block runs, and tells how they fared."""
    options = [f"--{kind}={count}" for kind, count in counts.items()]
    command = [*vps.ssh, shlex.join(["python3", PROGRAM, "attack", DOMAIN, *options])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as attackers:
        assert attackers.stdout is not None
        for line in attackers.stdout:
            if all(json.loads(line)["open"].get(kind, 0) >= count for kind, count in counts.items()):
                break
        else:
            pytest.fail("the clients never were all connected at a time")
        states: list[dict[str, dict[str, int]]] = []
        try:
            yield states
        finally:
            said, _ = attackers.communicate()
            states += [json.loads(line) for line in said.splitlines()]


def visit(vps: Any) -> list[float]:
    """Ask as a normal client does, from another address; every answer must come.

    Returns:
        The seconds that each took, in order.
    """
    paths = ["/seen/slow/visit", "/static/site.css"]
    said = vps.run("python3", PROGRAM, "visit", DOMAIN, *paths, f"--requests={VISITS}")
    visits = [json.loads(line) for line in said.splitlines()]
    assert len(visits) == VISITS
    assert [visit for visit in visits if visit["status"] != 200] == []
    return sorted(visit["seconds"] for visit in visits)


def test_slow_clients_hold_nobody_up(vps: Any, project: Path) -> None:
    with attack(vps, COUNTS) as states:
        waited = visit(vps)
    figures = {"p50": waited[VISITS // 2], "p99": waited[VISITS * 99 // 100], "max": waited[-1]}
    least = {kind: min(state["open"][kind] for state in states) for kind in COUNTS}
    logs = project / ".slipway" / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    # For a reader; nothing is asserted of them.
    text = json.dumps({"slow clients, at least": least, "seconds of the normal client": figures})
    (logs / f"{vps.name}.json").write_text(text)
    print(text)


def test_who_asks_all_the_time_is_told_to_wait_and_nobody_else(vps: Any) -> None:
    with attack(vps, {"flood": 20}) as states:
        visit(vps)
    answers = states[-1]["answers"]
    assert answers.get("429", 0) > 0
    assert set(answers) == {"200", "429"}
