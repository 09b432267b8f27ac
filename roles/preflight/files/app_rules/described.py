"""The keys that an app may have, and the names that it may not: the YAML files beside this package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_FILES = Path(__file__).resolve().parent.parent

# Where something is wrong, and what.
Problems = Iterator[tuple[str, str]]


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file of the project's; empty where it says nothing."""
    return dict(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader) or {})


# Read when Ansible loads its filters, which is before it makes a process for each task.
_SCHEMA = read_yaml(_FILES / "app.yml")
_RENAMED = read_yaml(_FILES / "renamed.yml")
_RESERVED_NAMES = frozenset(yaml.safe_load((_FILES / "reserved_names.yml").read_text()))


def schema() -> dict[str, Any]:
    """The keys that an app may have, from `files/app.yml`."""
    return _SCHEMA


def reserved_names() -> frozenset[str]:
    """Names of the system's own users and units, from `files/reserved_names.yml`."""
    return _RESERVED_NAMES


def renamed(kind: str) -> dict[str, str]:
    """Old names and new ones, from `files/renamed.yml`; `kind` is `variables` or `apps`."""
    return dict(_RENAMED[kind])


def quote_hint(kind: str, value: Any) -> str:
    """Say why text is not text: YAML reads 0123, yes and 1e3 as something else unless they are quoted."""
    return "; put it in quotes" if kind == "str" and isinstance(value, bool | int | float) else ""
