"""The table of durations at the end of a run of the checks."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import IO, Any

import pytest

from molecule.shared.scenario import STATE

LOCK: pytest.StashKey[IO[str]] = pytest.StashKey()
_NODE = re.compile(r"molecule/(?P<scenario>\w+)/(?P<file>\w+)\.py::\w+(?:\[(?P<parameters>.*)\])?")


def durations(terminal: Any) -> None:
    """Print what each snapshot and each file of checks took, in seconds, the longest first.

    Args:
        terminal: pytest's reporter.
    """
    hosts: dict[str, float] = defaultdict(float)
    checks: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for reports in terminal.stats.values():
        for report in reports:
            found = _NODE.search(getattr(report, "nodeid", ""))
            if not found or not hasattr(report, "when"):
                continue
            debian = re.search(r"debian(\d+)", found["parameters"] or "")
            unit = f"{found['scenario']}/{found['file']} {debian[1] if debian else ''}"
            (checks if report.when == "call" else hosts)[unit] += report.duration
            counts[unit] += report.when == "call"
    if not counts:
        return
    terminal.section("seconds")
    terminal.write_line(f"{'file and Debian':44} {'checks':>6} {'host':>6} {'asking':>7}")
    for unit in sorted(counts, key=lambda each: -hosts[each] - checks[each]):
        terminal.write_line(f"{unit:44} {counts[unit]:6} {hosts[unit]:6.0f} {checks[unit]:7.0f}")
    made = Path(STATE / "logs/snapshots.txt")
    if made.exists():
        terminal.write_line(f"snapshots made: {', '.join(made.read_text().splitlines())}")
