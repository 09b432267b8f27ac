"""Slipway on the same host: what its users type, and the unit that it is measured in."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from tests.bench import host
from tests.bench.visitors import Waited, visiting

TASKS, TIMES, IDLE = 20, 3, 15
_PLAY = "- hosts: all\n  gather_facts: false\n  become: true\n  tasks:"
_TASK = "\n    - ansible.builtin.file: {{path: /etc/slipway-bench-{number}, state: absent}}"


def _times(command: list[str]) -> float:
    return statistics.median(host.seconds(command) for _ in range(TIMES))


def unit() -> tuple[float, float]:
    """Seconds for one idempotent task, and for a run of Ansible without any."""
    with tempfile.TemporaryDirectory() as folder:
        empty, full = Path(folder) / "empty.yml", Path(folder) / "full.yml"
        empty.write_text(f"{_PLAY} []\n")
        full.write_text(_PLAY + "".join(_TASK.format(number=number) for number in range(TASKS)) + "\n")
        start = _times(host.playbook(empty))
        return (_times(host.playbook(full)) - start) / TASKS, start


def _from(sources: Path) -> list[str]:
    return ["-e", f"release_source_root={sources}"]


def site(sources: Path) -> float:
    return host.seconds(host.playbook("site.yml", *_from(sources)))


def site_unchanged(sources: Path) -> float:
    return _times(host.playbook("site.yml", *_from(sources)))


def deploy(sources: Path) -> float:
    return host.seconds(host.playbook("playbooks/deploy.yml", *_from(sources)))


def deploy_unchanged(sources: Path) -> float:
    return _times(host.playbook("playbooks/deploy.yml", *_from(sources)))


def rollback(app: str) -> float:
    return host.seconds(host.playbook("playbooks/rollback.yml", "-e", f"app={app}"))


def visited(sources: Path) -> tuple[Waited, Waited]:
    """What visitors waited while nothing happened, and during deploys of changed code."""
    with visiting() as idle:
        host.run(["sleep", str(IDLE)])
    with visiting() as busy:
        for number in range(TIMES):
            host.change_code(sources, host.DATA_APP, f"visited {number}")
            deploy(sources)
    return idle, busy
