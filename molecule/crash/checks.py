"""A run that dies at any task, run again, ends in the state of a run that nobody has disturbed."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
DEATHS = 10
# A run on a bare host has at least so many.
TASKS = 100
# To have the same deaths again: SLIPWAY_SEED=… pytest.
SEED = os.environ.get("SLIPWAY_SEED") or str(random.SystemRandom().randrange(10**6))
HEADER = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.+)\] \*+$")


@contextmanager
def run(vps: Any, host: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """One run of site.yml for one of the two hosts, and all that it says as it is read."""
    command = ["ansible-playbook", "site.yml", *vps.inventory, "--limit", host]
    # In a group of its own, so that all of it dies at once.
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        yield process, []


def tasks(process: subprocess.Popen[str], said: list[str]) -> Iterator[str]:
    """The tasks of a run, each as it begins."""
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if header := HEADER.match(line.rstrip()):
            yield header[1]


def undisturbed(vps: Any, host: str) -> set[str]:
    """Let a run go through; its tasks."""
    with run(vps, host) as (process, said):
        begun = set(tasks(process, said))
    assert process.returncode == 0, "".join(said[-60:])
    return begun


def dies(vps: Any, seen: dict[str, None], number: int) -> str:
    """Kill a run when it begins its `number`th task, those of all runs before counted; that task."""
    with run(vps, "disturbed") as (process, said):
        for task in tasks(process, said):
            seen[task] = None
            if len(seen) == number:
                os.killpg(process.pid, signal.SIGKILL)
                return task
    raise AssertionError("".join(said[-60:]))


def disturbed(vps: Any) -> list[str]:
    """Let ten runs die, each at a task that none has come to before, and one go through."""
    seen: dict[str, None] = {}
    died = []
    for number in sorted(random.Random(SEED).sample(range(2, TASKS), DEATHS)):  # noqa: S311 - no secret
        died.append(dies(vps, seen, number))
        print(f"died at: {died[-1]}")
    undisturbed(vps, "disturbed")
    return died


def fingerprint(name: str) -> Any:
    """The state of a host, told by the host."""
    script = (HERE / "fingerprint.py").read_text()
    told = subprocess.run(
        ["podman", "exec", "--interactive", name, "python3", "-"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def flat(state: Any, at: str = "") -> dict[str, Any]:
    """Each single thing of a fingerprint, by where it stands; of a text, each line."""
    if isinstance(state, str) and "\n" in state:
        state = state.splitlines()
    if isinstance(state, list):
        return {f"{at}: {entry}": True for entry in state}
    if not isinstance(state, dict):
        return {at: state}
    return {key: value for name, below in state.items() for key, value in flat(below, f"{at} {name}".strip()).items()}


def test_a_run_that_dies_ends_as_one_that_nobody_disturbs_once_it_is_run_again(vps: Any) -> None:
    print(f"SLIPWAY_SEED={SEED}")
    with ThreadPoolExecutor() as pool:
        begun, died = pool.submit(undisturbed, vps, "undisturbed"), pool.submit(disturbed, vps)
    assert len(begun.result()) >= TASKS
    assert len(set(died.result())) == DEATHS
    names = vps.name, vps.name.replace("undisturbed", "disturbed")
    first, second = (flat(fingerprint(name)) for name in names)
    assert len(first) > 1000
    differ = {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}
    told = [f"{key}: {first.get(key)} became {second.get(key)}" for key in sorted(differ)]
    assert not differ, "\n".join([f"SLIPWAY_SEED={SEED}", *died.result(), *told])
