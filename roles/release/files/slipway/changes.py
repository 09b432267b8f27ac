"""What a deploy would change, by name and never by value."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway import build, process
from slipway.layout import Layout
from slipway.spec import Spec

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)


def between(layout: Layout, current: str | None, spec: Spec) -> list[str]:
    """One line for each file, dependency, setting and variable in which `spec` differs from a release.

    Args:
        layout: the app.
        current: the release to compare with, or None, to which everything is new.
        spec: with `files` and `lock`, which a caller sends who wants to know.
    """
    before: dict[str, Any] = build.record(layout, current) if current else {}
    directory = layout.release(current) if current else None
    lock_before = directory / "src" / before["spec"]["requirements"] if directory else None
    parts = {
        "file": (before.get("files", {}), spec.files),
        "dependency": (_pins(lock_before), dict(_PIN.findall(spec.lock))),
        "setting": (_settings(directory, before), _parse(spec.settings.filename, spec.settings.content)),
        "variable": (_environment(directory, before), spec.env),
    }
    lines = []
    for kind, (old, new) in parts.items():
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                sign = "+" if name not in old else "-" if name not in new else "~"
                versions = f" {old.get(name, '')} -> {new.get(name, '')}" if kind == "dependency" else ""
                lines.append(f"{sign} {kind} {name}{versions}")
    return lines


def _pins(lock: Path | None) -> dict[str, str]:
    return dict(_PIN.findall(lock.read_text())) if lock and lock.is_file() else {}


def _settings(directory: Path | None, before: Mapping[str, Any]) -> dict[str, Any]:
    if directory is None:
        return {}
    filename = before["spec"]["settings"]["filename"]
    return _parse(filename, (directory / filename).read_bytes())


def _parse(filename: str, content: bytes) -> dict[str, Any]:
    match Path(filename).suffix:
        case ".json":
            return dict(json.loads(content))
        case ".toml":
            return tomllib.loads(content.decode())
    assignments = [node for node in ast.parse(content).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.dump(node.value) for node in assignments if isinstance(node.targets[0], ast.Name)}


def _environment(directory: Path | None, before: Mapping[str, Any]) -> dict[str, str]:
    if directory is None:
        return {}
    return {name: value for name, value in process.environment(directory).items() if name in before["spec"]["env"]}
