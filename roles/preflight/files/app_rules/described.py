"""The keys that an app may have, and the names that it may not: the YAML files beside this package."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_FILES = Path(__file__).resolve().parent.parent

# Where something is wrong, and what.
Problems = Iterator[tuple[str, str]]


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file of the project's; empty where it says nothing."""
    # The parser in C: each of Ansible's workers reads such files anew.
    return dict(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader) or {})


@functools.cache
def schema() -> dict[str, Any]:
    """The keys that an app may have, from `files/app.yml`."""
    return read_yaml(_FILES / "app.yml")


@functools.cache
def reserved_names() -> frozenset[str]:
    """Names of the system's own users and units, from `files/reserved_names.yml`."""
    return frozenset(yaml.safe_load((_FILES / "reserved_names.yml").read_text()))


@functools.cache
def renamed(kind: str) -> dict[str, str]:
    """Old names and new ones, from `files/renamed.yml`; `kind` is `variables` or `apps`."""
    return dict(read_yaml(_FILES / "renamed.yml")[kind])


def quote_hint(kind: str, value: Any) -> str:
    """Say why text is not text: YAML reads 0123, yes and 1e3 as something else unless they are quoted."""
    return "; put it in quotes" if kind == "str" and isinstance(value, bool | int | float) else ""
