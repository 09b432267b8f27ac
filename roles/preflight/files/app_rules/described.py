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


@functools.cache
def schema() -> dict[str, Any]:
    """The keys that an app may have, from `files/app.yml`."""
    return dict(yaml.safe_load((_FILES / "app.yml").read_text()))


@functools.cache
def reserved_names() -> frozenset[str]:
    """Names of the system's own users and units, from `files/reserved_names.yml`."""
    return frozenset(yaml.safe_load((_FILES / "reserved_names.yml").read_text()))


def quote_hint(kind: str, value: Any) -> str:
    """Say why text is not text: YAML reads 0123, yes and 1e3 as something else unless they are quoted."""
    return "; put it in quotes" if kind == "str" and isinstance(value, bool | int | float) else ""
