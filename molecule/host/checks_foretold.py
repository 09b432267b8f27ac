"""A dry run on a bare host foretells what the run then changes, but for what docs/check-mode.md lists with a reason."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What only a bare host needs.
FIRST = "host : Install packages"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "check-mode.md"
LINE = re.compile(r"^\S+ \S+ p=(?P<process>\d+) \S+ \S+ \S+ (?P<said>.*)$")
TASK = re.compile(r"(?:TASK|RUNNING HANDLER) \[(?P<name>.+?)\](?: \[CHECK MODE\])? \*+$")


@dataclass
class Run:
    """One run of Ansible, and the tasks that it calls changed."""

    dry: bool = False
    task: str = ""
    changed: set[str] = field(default_factory=set)


def runs(log: Path) -> list[Run]:
    """Every run that Ansible's log has, in its order."""
    found: dict[str, Run] = {}
    for line in log.read_text().splitlines():
        if entry := LINE.match(line):
            run, said = found.setdefault(entry["process"], Run()), entry["said"]
            run.dry = run.dry or said.startswith("DRY RUN")
            if task := TASK.match(said):
                # An app is APP on the page.
                run.task = re.sub(r" (guestbook|hello)$", " APP", task["name"])
            elif said.startswith("changed: "):
                run.changed.add(run.task)
    return list(found.values())


def excepted(heading: str) -> set[str]:
    """The tasks in the table below a heading of the page."""
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def test_a_bare_host_changes_as_foretold(vps: Any) -> None:
    # molecule keeps it; a snapshot has the one of its making.
    everything = runs(Path(os.environ.get("ANSIBLE_LOG_PATH") or f"{vps.keys}/runs.log"))
    found = [number for number, run in enumerate(everything) if run.dry and FIRST in run.changed]
    # `molecule test` begins so.
    assert found, "no dry run on the bare host: molecule check -s host comes before molecule converge -s host"
    dry, run = everything[found[0] : found[0] + 2]
    assert not run.dry
    assert len(run.changed) > 30
    assert run.changed - dry.changed == excepted("Not foretold on a bare host")
    assert dry.changed - run.changed == excepted("Foretold and not done on a bare host")
