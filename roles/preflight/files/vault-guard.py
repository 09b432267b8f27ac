#!/usr/bin/env python3
"""Keeps secrets out of commits: run it by hand, as a pre-commit hook (docs/secrets.md), or in CI.

Looks for vaults and secrets in plain text, password files that git has, and, in each vault whose password is at
hand, for placeholders, values that Ansible would take for templates, and secrets that two environments share.
Says which key, never its value. Exit code: 0 nothing found, 1 something found.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import secret_rules
import yaml

ENCRYPTED = "$ANSIBLE_VAULT;"
FOLDERS = ("group_vars", "host_vars", "inventory")
Problems = Iterator[tuple[str, str]]


class Text(str):
    """Text that Ansible takes as it is."""

    __slots__ = ()


class Loader(yaml.SafeLoader):
    """YAML with Ansible's tags."""


def _text(loader: Loader, node: yaml.nodes.Node) -> object:
    if not isinstance(node, yaml.ScalarNode):
        return None
    text = loader.construct_scalar(node)
    return Text(text) if secret_rules.reads_as_text(text) else yaml.safe_load(text)


Loader.add_constructor("!unsafe", _text)
# Encrypted on its own: as good as a template that fetches it.
Loader.add_constructor("!vault", lambda _loader, _node: "{{ }}")


def run(*command: str) -> str | None:
    """The output of a command, or None where it failed or is not there."""
    environment = {**os.environ, "SLIPWAY_VAULT_PROMPT": "no"}
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603  # ours
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError):
        return None
    return result.stdout


def files() -> list[Path]:
    """The files that git has or would take; without git, all."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is None:
        return sorted(path for folder in FOLDERS for path in Path(folder).rglob("*") if path.is_file())
    return sorted({Path(name) for name in listed.split("\0") if name})


def contents(path: Path) -> set[str]:
    """What a file holds on disk and, where that differs, in git's index."""
    held = {run("git", "show", f":{path}")}
    if path.is_file():
        held.add(path.read_text(errors="replace"))
    return {text for text in held if text is not None}


def is_vault(path: Path) -> bool:
    named = path.stem == "vault" or path.stem.endswith("_vault") or "vault" in path.parts[:-1]
    return path.parts[0] in FOLDERS and named and path.suffix in {".yml", ".yaml", ".json", ""}


def file_problems(path: Path) -> Problems:
    """What is wrong with a file that needs no password to tell."""
    if ".slipway" in path.parts or path.suffix == ".password":
        yield str(path), "holds a password or a key and must not be in git: git rm --cached it, and make rekey"
    elif is_vault(path):
        environment = path.parts[1]
        for text in contents(path):
            header = text.partition("\n")[0].split(";")
            if not text.startswith(ENCRYPTED):
                yield str(path), f"is not encrypted: ansible-vault encrypt --encrypt-vault-id {environment} {path}"
            elif path.parts[0] == "group_vars" and header[3:] != [environment]:
                yield str(path), f"is encrypted under another vault id than {environment}"
    elif path.parts[0] in FOLDERS and path.suffix in {".yml", ".yaml"} and path.is_file():
        try:
            values = yaml.load(path.read_text(), Loader)  # noqa: S506  # derived from the safe one
        except (yaml.YAMLError, UnicodeDecodeError):
            return
        for place in secret_rules.plain("", values):
            yield f"{path}: {place.lstrip('.')}", "is a secret in plain text; move it to the vault"
        for name in values if isinstance(values, dict) else ():
            if str(name).startswith("vault_"):
                yield f"{path}: {name}", "belongs in the vault"


def decrypted(path: Path) -> dict[str, object] | None:
    """What a vault holds, or None where its password is not at hand."""
    text = run("ansible-vault", "view", str(path))
    if text is None:
        return None
    values = yaml.load(text, Loader)  # noqa: S506  # derived from the safe one
    return {place: leaf for key, value in (values or {}).items() for place, leaf in secret_rules.leaves(key, value)}


def secret_problems(vaults: dict[Path, dict[str, object]]) -> Problems:
    """What is wrong with the secrets themselves."""
    seen: dict[str, tuple[Path, str]] = {}
    for path, values in vaults.items():
        for place, value in values.items():
            key = f"{path}: {place}"
            if problem := secret_rules.weakness(place, value):
                yield key, problem
            elif not isinstance(value, Text) and secret_rules.reads_as_text(str(value)):
                yield key, "would be taken for a template; put !unsafe before the quoted secret"
            first, other = seen.setdefault(str(value), (path, place))
            if first != path:
                yield key, f"is the same secret as {other} in {first}; each environment needs its own"


def main() -> int:
    """Print what is wrong; return the exit code."""
    found = files()
    problems = [problem for path in found for problem in file_problems(path)]
    # The demo's vault is not in git, and must not be another environment's either.
    vaults = {path for path in (*found, *Path("group_vars").glob("*/vault.yml")) if is_vault(path) and path.is_file()}
    encrypted = sorted(path for path in vaults if path.read_text(errors="replace").startswith(ENCRYPTED))
    opened = {path: values for path in encrypted if (values := decrypted(path)) is not None}
    problems += secret_problems(opened)
    for place, problem in problems:
        print(f"{place}: {problem}")
    for path in encrypted:
        if path not in opened:
            print(f"{path}: encrypted; not looked into, for its password is not at hand", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
