"""Measures Slipway on a test VPS of its own and prints a table. It judges nothing: docs/performance.md reads it."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import edge, host, plain, slipway
from tests.bench.visitors import Waited

# Row, goal as a multiple of the plain script, goal in U.
GOALS = {
    "site from bare": ("1.3", ""),
    "site unchanged": ("", "25"),
    "deploy unchanged": ("", "6"),
    "deploy code-only": ("3", ""),
    "rollback": ("", "6"),
    # The same with an app that has a database, which is copied, migrated and asked.
    "code-only, data": ("3", ""),
    "rollback, data": ("", "6"),
}


def again(measure: Callable[[int], float]) -> float:
    """The middle one of several measurements, each of something new."""
    return statistics.median(measure(number) for number in range(slipway.TIMES))


def plain_times(sources: Path) -> dict[str, float]:
    """Seconds of the plain script for each row."""

    def changed(app: str) -> float:
        def deployed(number: int) -> float:
            host.change_code(sources, app, f"plain {number}")
            return plain.deploy(sources, app, f"r{number}")

        return again(deployed)

    with host.vps():
        host.say("plain shell script …")
        return {
            "site from bare": plain.site(sources),
            "site unchanged": again(lambda _: plain.site(sources)),
            "deploy code-only": changed(host.PLAIN_APP),
            "code-only, data": changed(host.DATA_APP),
            "deploy unchanged": again(lambda _: plain.deploy_unchanged(sources)),
            "rollback": again(lambda number: plain.rollback(host.PLAIN_APP, f"r{number}")),
            "rollback, data": again(lambda number: plain.rollback(host.DATA_APP, f"r{number}")),
        }


@dataclass(frozen=True)
class Measured:
    """Seconds for each row; U and the start of Ansible; what visitors waited; what the edge carried."""

    times: dict[str, float]
    unit: float
    start: float
    idle: Waited
    busy: Waited
    loads: dict[str, tuple[edge.Load, edge.Load]]


def slipway_times(sources: Path) -> Measured:
    """Everything about Slipway, on one host."""

    def changed(app: str) -> float:
        def deployed(number: int) -> float:
            host.change_code(sources, app, f"slipway {number}")
            return slipway.deploy(sources)

        return again(deployed)

    with host.vps():
        host.say("Slipway …")
        times = {
            "site from bare": slipway.site(sources),
            "site unchanged": slipway.site_unchanged(sources),
            "deploy unchanged": slipway.deploy_unchanged(sources),
        }
        host.say("U …")
        unit, start = slipway.unit()
        host.say("changes …")
        times |= {
            "deploy code-only": changed(host.PLAIN_APP),
            "rollback": again(lambda _: slipway.rollback(host.PLAIN_APP)),
            "code-only, data": changed(host.DATA_APP),
            "rollback, data": again(lambda _: slipway.rollback(host.DATA_APP)),
        }
        host.say("visitors …")
        idle, busy = slipway.visited(sources)
        host.say("edge …")
        return Measured(times, unit, start, idle, busy, edge.measured(sources))


def table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join("  ".join([row[0].strip().ljust(widths[0]), *row[1:]]).rstrip() for row in lines)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        host.run(["ansible-playbook", "playbooks/environment.yml", "-e", "environment_name=local"])
        before = os.getloadavg()[0]
        shell = plain_times(host.copy_sources(Path(folder) / "plain"))
        ours = slipway_times(host.copy_sources(Path(folder) / "slipway"))
    times, unit, start = ours.times, ours.unit, ours.start
    print(f"{os.cpu_count()} cores, load {before:.1f} before; 1 U = {unit:.3f} s; Ansible's start = {start:.2f} s\n")
    head = ["", "s", "plain s", "ratio", "goal <=", "U", "without start", "goal <="]
    rows = [
        [
            name, f"{times[name]:.1f}", f"{shell[name]:.2f}", f"{times[name] / shell[name]:.1f}", ratio,
            f"{times[name] / unit:.0f}", f"{(times[name] - start) / unit:.0f}", units,
        ]
        for name, (ratio, units) in GOALS.items()
    ]  # fmt: skip
    print(table([head, *rows]))
    visits = [
        [
            name, str(len(waited.times)), str(waited.failed), f"{waited.part(0.5):.1f}", f"{waited.part(0.99):.1f}",
            f"{waited.part(1):.1f}",
        ]
        for name, waited in (("idle", ours.idle), ("deploying", ours.busy))
    ]  # fmt: skip
    print("\n" + table([["GET /", "answers", "failed", "p50 ms", "p99 ms", "max ms"], *visits]))
    loads = [
        [
            name, f"{mine.rate:.0f}", f"{plainest.rate:.0f}", f"{mine.rate / plainest.rate:.2f}", edge.GOALS[name],
            f"{mine.p99:.1f}", f"{plainest.p99:.1f}",
        ]
        for name, (mine, plainest) in ours.loads.items()
    ]  # fmt: skip
    print("\n" + table([["HTTPS", "answers/s", "minimal", "ratio", "goal >=", "p99 ms", "minimal"], *loads]))


if __name__ == "__main__":
    main()
