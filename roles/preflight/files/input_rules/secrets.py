"""Secrets as the vault holds them, before any template is filled in: afterwards it is too late to tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import secret_rules
from ansible.template import is_trusted_as_template
from app_rules.described import Problems

from input_rules import places
from input_rules.given import names

ENCRYPTED = b"$ANSIBLE_VAULT;"


def secret_problems(variables: Mapping[str, Any], prefix: str, words: Iterable[str] = ()) -> Problems:
    """What is wrong with the variables whose name begins with `prefix`; values are never shown.

    Args:
        variables: all of a host's.
        prefix: of the names of secrets.
        words: what stands behind each -e.
    """
    typed = {name for word in words if not word.startswith("@") for name in names(word)}
    for name in sorted(name for name in variables if name.startswith(prefix)):
        for place, value in secret_rules.leaves(name, variables[name]):
            if problem := secret_rules.weakness(place, value):
                yield place, problem
            elif name in typed:
                yield place, "is on the command line, which everybody on this computer can read; put it into vault.yml"
            elif isinstance(value, str) and is_trusted_as_template(value) and secret_rules.reads_as_text(value):
                yield place, "would be taken for a template; put !unsafe before the quoted secret"


def plain_problems(variables: Mapping[str, Any], names: list[str]) -> Problems:
    """Secrets that are written out in other variables, before their templates are filled in."""
    for name in names:
        for place in secret_rules.plain(name, variables.get(name)):
            yield place, "is a secret in plain text; move it to the vault and name its variable here"


def file_problems(folder: Path, groups: list[str]) -> Problems:
    """The vaults of the groups that lie there in plain text."""
    for group in groups:
        path = folder / group / "vault.yml"
        if path.is_file() and not path.read_bytes().startswith(ENCRYPTED):
            command = f"ansible-vault encrypt --encrypt-vault-id {group} group_vars/{group}/vault.yml"
            yield f"group_vars/{group}/vault.yml", f"is not encrypted: {command}"


def written_problems(variables: Mapping[str, Any], prefix: str) -> Problems:
    """Secrets that a plain file holds under a name of their own."""
    for name in sorted(variables):
        secret = name.startswith(prefix) or secret_rules.SECRET_NAME.search(name)
        value = variables[name]
        if secret and isinstance(value, str) and value and "{{" not in value:
            found = places.scalar(name, variables)
            if found and Path(found.file).name != "vault.yml":
                yield name, f"is a secret in plain text; move it to vault.yml, under a name that begins with {prefix}"
