"""Requests a second through Slipway's nginx and app server, and through the plainest ones on the same host."""

from __future__ import annotations

import json
import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.bench import host

ROUNDS, SECONDS = 5, 4
OURS, THEIRS = 443, 9443
# Row, least ratio of requests a second; p99 is meant to be lower for the page.
GOALS = {"static file": "1.0", "static file, gzip": "1.0", "page": "1.2"}
_SCRIPT = "/root/edge.sh"
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """What one of the two did: requests a second, and within how many milliseconds 99 of 100 were answered."""

    rate: float
    p99: float


def _unlimited() -> dict[str, Any]:
    """The demo's apps, without the limits for one address: all load comes from one."""
    apps: dict[str, Any] = yaml.safe_load((host.ROOT / "group_vars/local/main.yml").read_text())["apps"]
    return {name: {**app, "http": {"rate": "unlimited", "connections": 0}} for name, app in apps.items()}


def _load(port: int, path: str, header: str, seconds: int = SECONDS) -> Load:
    said = host.said(host.ssh(f"sh {_SCRIPT} load {port} {path} '{header}' {seconds}"))
    if "Non-2xx" in said or "Socket errors" in said:
        host.fail(said)
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", said, re.MULTILINE)
    p99 = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s)$", said, re.MULTILINE)
    if rate is None or p99 is None:
        host.fail(said)
    return Load(float(rate[1]), float(p99[1]) * _UNITS[p99[2]])


def _middle(loads: list[Load]) -> Load:
    return Load(statistics.median(load.rate for load in loads), statistics.median(load.p99 for load in loads))


def _both(path: str, header: str) -> tuple[Load, Load]:
    """The middle ones of several rounds in which each has its turn, so that both meet the machine in the same mood."""
    rounds = [(_load(OURS, path, header), _load(THEIRS, path, header)) for _ in range(ROUNDS)]
    return _middle([ours for ours, _ in rounds]), _middle([theirs for _, theirs in rounds])


def measured(sources: Path) -> dict[str, tuple[Load, Load]]:
    """Ours and theirs for each row."""
    apps = json.dumps({"apps": _unlimited()})
    host.run(host.playbook("site.yml", "-e", f"release_source_root={sources}", "-e", apps))
    host.run(host.ssh(f"cat >{_SCRIPT}"), data=(Path(__file__).parent / "edge.sh").read_bytes())
    host.run(host.ssh(f"sh {_SCRIPT} prepare"))
    css = host.said(host.ssh("cd /srv/guestbook/current && ls static/app.*.css")).strip()
    for port in (OURS, THEIRS):
        _warm(port)
    return {
        "static file": _both(f"/{css}", "Accept-Encoding: identity"),
        "static file, gzip": _both(f"/{css}", "Accept-Encoding: gzip"),
        "page": _both("/", "Accept-Encoding: identity"),
    }


def _warm(port: int) -> None:
    """Ask until the app answers, then once more for a second: its first answers take longest."""
    address = f"https://guestbook.localhost:{port}/healthz"
    probe = f"import ssl, urllib.request as r; r.urlopen('{address}', context=ssl._create_unverified_context())"
    deadline = time.monotonic() + 30
    while not host.succeeds(host.ssh(f'python3 -c "{probe}"')):
        if time.monotonic() > deadline:
            host.fail(f"no answer on port {port}")
        time.sleep(0.2)
    _load(port, "/", "Accept-Encoding: identity", seconds=1)
