"""A molecule scenario on one Debian: its hosts, what it starts from, and a tag for all that goes into it."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
MOLECULE = PROJECT / "molecule"
STATE = PROJECT / ".slipway"
# The same as vps_checkout in inventory/vps.yml.
CHECKOUT = hashlib.sha1(str(PROJECT).encode(), usedforsecurity=False).hexdigest()[:4]
# All that a converged host is made of, but for its scenario: the local environment's secrets as well.
INPUTS = ("site.yml", "playbooks", "roles", "group_vars", "app", "ansible.cfg", "requirements.txt", "molecule/shared")
_LITTER = {"__pycache__", ".venv", "instance", "tests", "README.md", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
# What the checks use beside a host that is there already.
_RUNNER = {"vps.py", "waiting.py", "podman.py", "scenario.py", "snapshots.py", "report.py", "program.py"}


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for folder, below, names in os.walk(path):
        below[:] = sorted(set(below) - _LITTER)
        yield from (Path(folder, name) for name in sorted(set(names) - _LITTER))


def _digest(paths: Iterator[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        text = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        found.update(f"{path.relative_to(PROJECT)} {path.lstat().st_mode} {len(text)}\n".encode() + text)
    return found.hexdigest()


@cache
def _common() -> str:
    """Return a digest of what every scenario is made of."""
    paths = (path for name in INPUTS for path in _files(PROJECT / name))
    return _digest(path for path in paths if path.parent != MOLECULE / "shared" or path.name not in _RUNNER)


def _hosts(group: Any) -> Iterator[str]:
    yield from (group.get("hosts") or {}) if isinstance(group, dict) else ()


@dataclass(frozen=True)
class Scenario:
    """A scenario on one Debian.

    Args:
        name: of its folder.
        debian: 12 or 13, as text.
    """

    name: str
    debian: str

    @property
    def folder(self) -> Path:
        return MOLECULE / self.name

    @cached_property
    def config(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.folder / "molecule.yml").read_text()))

    @cached_property
    def parent(self) -> Scenario | None:
        """The scenario whose snapshot this one starts from; none where it starts from a bare Debian."""
        name = self.config.get("ansible", {}).get("env", {}).get("VPS_PARENT")
        return Scenario(name, self.debian) if name else None

    @cached_property
    def hosts(self) -> list[str]:
        """The names of its hosts. Those of several know each other by their addresses, so they cannot be cloned."""
        inventory = yaml.safe_load((self.folder / "inventory/hosts.yml").read_text())
        return list(dict.fromkeys(host for group in inventory.values() for host in _hosts(group)))

    def vps(self, host: str, unit: str) -> str:
        """Return the name of a host's container, as inventory/vps.yml makes it."""
        return "-".join(filter(None, ["slipway", self.name, host, self.debian, unit, CHECKOUT]))

    @cached_property
    def tag(self) -> str:
        """The name of its snapshot, with a hash of everything that goes into it."""
        if self.name == "packages":
            # The packages of each week are others; nothing else of the project matters to them.
            week = "-".join(map(str, dt.datetime.now(dt.UTC).isocalendar()[:2]))
            wired = yaml.safe_load((PROJECT / "group_vars/all/main.yml").read_text())["host_packages"]
            made = f"{week} {wired} {_digest(_files(MOLECULE / 'shared/image'))}"
        else:
            made = f"{self.parent.tag if self.parent else Scenario('packages', self.debian).tag} {_common()}"
        # The checks themselves are none of it.
        own = (path for path in _files(self.folder) if path.parent != self.folder or path.suffix != ".py")
        digest = hashlib.sha256(f"{made} {_digest(own)}".encode()).hexdigest()
        return f"localhost/slipway-{self.name}-{CHECKOUT}:{self.debian}-{digest[:12]}"
