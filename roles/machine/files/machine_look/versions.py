"""Versions of Slipway, and the changes between two of them that somebody has to have read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Problem = tuple[str, str]
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


def numbers(version: str) -> tuple[int, ...] | None:
    """A version such as 0.10.2 in a form that can be compared; None for what is none."""
    match = _VERSION.fullmatch(version.strip())
    return tuple(map(int, match.groups())) if match else None


def version_problems(host: str, own: str, changes: list[dict[str, Any]], acknowledged: str) -> Iterator[Problem]:
    """Why this version may not work on a host that another one has provisioned.

    Args:
        host: the version that provisioned it last; empty for none.
        own: this project's.
        changes: those that need a decision, each with its `version` and `text`.
        acknowledged: the latest version whose changes were read.
    """
    here, there = numbers(own), numbers(host)
    read = numbers(acknowledged) or (0,)
    if not here or not there:
        return
    if there > here:
        back = "to go back on purpose, remove /var/lib/slipway/version there"
        yield "version", f"Slipway {host} has provisioned this host, and this checkout is {own}: git pull; {back}"
        return
    for change in changes:
        since = numbers(str(change["version"]))
        if since and there < since <= here and read < since:
            text = " ".join(str(change["text"]).split())
            then = f'once you have read it, say slipway_acknowledged: "{change["version"]}" in group_vars/all/main.yml'
            yield "version", f"{change['version']} changes this, and the host is at {host}: {text} ({then})"
