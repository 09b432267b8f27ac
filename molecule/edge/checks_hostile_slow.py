"""Thousands of clients who send and read as slowly as they may, and one who notices nothing of them."""

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
def attack(vps: Any, counts: dict[str, int]) -> Iterator[list[dict[str, int]]]:
    """Keeps that many slow clients of each kind connected while the block runs, and tells how many there were."""
    options = [f"--{kind}={count}" for kind, count in counts.items()]
    command = [*vps.ssh, shlex.join(["python3", PROGRAM, "attack", DOMAIN, *options])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as attackers:
        assert attackers.stdout is not None
        for line in attackers.stdout:
            if all(json.loads(line).get(kind, 0) >= count for kind, count in counts.items()):
                break
        else:
            pytest.fail("the slow clients never were all connected at a time")
        held: list[dict[str, int]] = []
        try:
            yield held
        finally:
            said, _ = attackers.communicate()
            held += [json.loads(line) for line in said.splitlines()]


def test_a_normal_client_gets_every_answer_meanwhile(vps: Any, project: Path) -> None:
    with attack(vps, COUNTS) as held:
        said = vps.run(
            "python3", PROGRAM, "visit", DOMAIN, "/seen/slow/visit", "/static/site.css", f"--requests={VISITS}"
        )
    visits = [json.loads(line) for line in said.splitlines()]
    assert len(visits) == VISITS
    assert [visit for visit in visits if visit["status"] != 200] == []
    waited = sorted(visit["seconds"] for visit in visits)
    figures = {"p50": waited[VISITS // 2], "p99": waited[VISITS * 99 // 100], "max": waited[-1]}
    logs = project / ".slipway" / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    # For a reader; nothing is asserted of them.
    least = {kind: min(row[kind] for row in held) for kind in COUNTS}
    text = json.dumps({"slow clients, at least": least, "seconds of the normal client": figures})
    (logs / f"{vps.name}.json").write_text(text)
    print(text)
