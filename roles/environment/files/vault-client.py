#!/usr/bin/env python3
"""Gives Ansible the vault password of one environment.

Ansible calls it with `--vault-id NAME` once for each environment in ansible.cfg, whichever of them a command is about;
the password goes to standard output and anything else to standard error. Tried in this order: the variable
SLIPWAY_VAULT_PASSWORD_<NAME>, the file .slipway/vault/<name>.password.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
from pathlib import Path

# What Ansible understands as: this client does not know that id.
UNKNOWN = 2
PROJECT = Path(__file__).resolve().parents[3]


def find(environment: str) -> str | None:
    """The password of an environment, or None where no place has it."""
    variable = os.environ.get(f"SLIPWAY_VAULT_PASSWORD_{environment.upper()}")
    if variable:
        return variable
    try:
        return (PROJECT / ".slipway" / "vault" / f"{environment}.password").read_text().strip()
    except FileNotFoundError:
        return None


def is_concerned(environment: str) -> bool:
    """Whether the command that wants a password names the environment, in an inventory, a file or a vault id."""
    try:
        command = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return True
    words = [*command.split("\0")[1:], os.environ.get("ANSIBLE_INVENTORY", "")]
    pattern = re.compile(rf"(^|[/@,=]){re.escape(environment)}($|[/@,.])")
    return any(pattern.search(word) for word in words if not word.startswith("environment_name="))


def main() -> int:
    """Print the password; return the exit code that Ansible expects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vault-id", required=True, metavar="NAME", help="the environment")
    environment = parser.parse_args().vault_id
    password = find(environment)
    if password is None and is_concerned(environment):
        print(
            f"no vault password for the environment {environment}: neither the variable "
            f"SLIPWAY_VAULT_PASSWORD_{environment.upper()} nor the file .slipway/vault/{environment}.password has it",
            file=sys.stderr,
        )
        return UNKNOWN
    # Ansible warns of each id without a password and stops where none has one, though staging needs no production's:
    # for an environment that this command is not about it gets a password that opens nothing.
    print(password or secrets.token_hex())
    return 0


if __name__ == "__main__":
    sys.exit(main())
