#!/usr/bin/env python3
"""Gives Ansible the vault password of one environment.

Ansible calls it with `--vault-id NAME` once for each environment in ansible.cfg, whichever of them a command is about;
the password goes to standard output and anything else to standard error. Tried in this order: the variable
SLIPWAY_VAULT_PASSWORD_<NAME>, the file .slipway/vault/<name>.password, the system keyring, a prompt.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import hmac
import os
import re
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

# What Ansible understands as: this client does not know that id.
UNKNOWN = 2
WRONG = 1
PROJECT = Path(__file__).resolve().parents[3]
KEYRING = f"slipway:{PROJECT.name}"
TRIES = 3


class RefusedError(Exception):
    """There is no right password; the message says where it was looked for."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def variable(environment: str) -> str:
    return f"SLIPWAY_VAULT_PASSWORD_{environment.upper()}"


def stored(environment: str) -> Iterator[tuple[str, str]]:
    """The passwords that a variable and a file hold, each with its place."""
    if password := os.environ.get(variable(environment), "").strip():
        yield f"the variable {variable(environment)}", password
    # The second stands there only while `make rekey` is at work, or has been stopped in it.
    for suffix in ("password", "password.new"):
        name = f".slipway/vault/{environment}.{suffix}"
        try:
            password = (PROJECT / name).read_text().strip()
        except OSError:
            continue
        if password:
            yield f"the file {name}", password


def from_keyring(environment: str) -> str | None:
    """The password that the system keyring holds; None where it has none or there is no keyring."""
    try:
        import keyring  # noqa: PLC0415  # optional, and too slow to load for nothing
    except ImportError:
        return None
    try:
        return keyring.get_password(KEYRING, environment)
    except Exception:  # each desktop's keyring fails in its own way: no bus, locked, dismissed
        return None


def opens(password: str, vault: Path) -> bool:
    """Whether a password is the right one for a vault; a vault that is not there yet takes any.

    The vault's own checksum tells, as Ansible's manual describes the format: nothing is decrypted.
    """
    try:
        header, *body = vault.read_text().split("\n")
    except OSError:
        return True
    if not header.startswith("$ANSIBLE_VAULT;"):
        return True
    salt, checksum, content = (bytes.fromhex(part) for part in bytes.fromhex("".join(body)).decode().split("\n"))
    keys = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 10_000, 80)
    return hmac.compare_digest(hmac.digest(keys[32:64], content, "sha256"), checksum)


def find(environment: str, *, may_ask: bool) -> str:
    """The right password of an environment.

    Raises:
        RefusedError: no place has it, or the first that has one has a wrong one.
    """
    vault = PROJECT / "group_vars" / environment / "vault.yml"
    wrong = []
    for place, password in stored(environment):
        if opens(password, vault):
            return password
        wrong.append(place)
    if not wrong and (password := from_keyring(environment) or ""):
        if opens(password, vault):
            return password
        wrong.append(f"the system keyring ({KEYRING})")
    if wrong:
        message = (
            f"wrong vault password for the environment {environment}: it is not what is in {' or in '.join(wrong)}"
        )
        raise RefusedError(message, WRONG)
    if may_ask and (asked := ask(environment, vault)):
        return asked
    raise RefusedError(
        f"no vault password for the environment {environment}: looked in the variable {variable(environment)}, "
        f"the file .slipway/vault/{environment}.password and the system keyring ({KEYRING}), and could not ask for it",
        UNKNOWN,
    )


def ask(environment: str, vault: Path) -> str | None:
    """Ask for the password on the terminal; None where there is none."""
    try:
        Path("/dev/tty").open("rb").close()
    except OSError:
        return None
    for _ in range(TRIES):
        password = getpass.getpass(f"Vault password of {environment}: ")
        if not password:
            break
        if opens(password, vault):
            return password
    raise RefusedError(f"wrong vault password for the environment {environment}, as it was typed", WRONG)


def is_concerned(environment: str) -> bool:
    """Whether the command that wants a password is about the environment.

    It is where the environment's name stands in an inventory, a file or a vault id, and where the inventory is a
    directory that holds the environment's. Only Linux and the like tell; elsewhere every environment is concerned.
    """
    try:
        command = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return True
    words = [*command.split("\0")[1:], os.environ.get("ANSIBLE_INVENTORY", "")]
    named = re.compile(rf"(^|[/@,=]){re.escape(environment)}($|[/@,.])")
    if any(named.search(word) for word in words if not word.startswith("environment_name=")):
        return True
    folders = [Path(part) for word in words for part in word.removeprefix("--inventory=").split(",") if part]
    return environment in Path.cwd().parts or any((folder / f"{environment}.yml").is_file() for folder in folders)


def main() -> int:
    """Print the password; return the exit code that Ansible expects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vault-id", required=True, metavar="NAME", help="the environment")
    parser.add_argument("--required", action="store_true", help="the right password or none, whoever asks")
    parser.add_argument("--no-prompt", action="store_true", help="don't ask on the terminal")
    given = parser.parse_args()
    may_ask = not given.no_prompt and os.environ.get("SLIPWAY_VAULT_PROMPT") != "no"
    if given.required or is_concerned(given.vault_id):
        try:
            print(find(given.vault_id, may_ask=may_ask))
        except RefusedError as refusal:
            print(refusal, file=sys.stderr)
            return refusal.code
    else:
        # Ansible warns of each id without a password and stops where none has one, though staging needs no
        # production's: an environment that the command is not about gets a password that opens nothing.
        print(next((password for _, password in stored(given.vault_id)), secrets.token_hex()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
