#!/usr/bin/python
# Copyright: the Slipway contributors
"""Changes the password of an environment's vault on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: vault_password
short_description: Change the password of a vault
description:
  - Makes a new password, encrypts the vault with it and puts it where the old one was, in the file O(password_file)
    and, where the system keyring held the old one, there too.
  - The new password is in O(password_file)C(.new) before the vault is replaced, and the vault client looks there as
    well, so that one that is interrupted leaves a vault that opens.
options:
  project:
    description: The directory of C(ansible.cfg).
    type: path
    required: true
  vault:
    description: The vault.
    type: path
    required: true
  vault_id:
    description: Its vault id.
    type: str
    required: true
  password_file:
    description: The file that holds the password.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Reads the vault and changes nothing.
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Change production's password
  vault_password:
    project: /opt/shop
    vault: /opt/shop/group_vars/production/vault.yml
    vault_id: production
    password_file: /opt/shop/.slipway/vault/production.password
  delegate_to: localhost
"""

RETURN = r"""
"""

import os
import secrets
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.vault_file import VaultError, read, replace, sync_directory, write


def put_into_keyring(service: str, name: str, password: str) -> None:
    """Replace the password in the system keyring, where it holds one."""
    try:
        import keyring  # noqa: PLC0415  # optional

        if keyring.get_password(service, name) is not None:
            keyring.set_password(service, name, password)
    except Exception:  # noqa: S110  # no keyring, or one that does not answer, holds none
        pass


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "path", "required": True},
            "vault": {"type": "path", "required": True},
            "vault_id": {"type": "str", "required": True},
            "password_file": {"type": "path", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    project, vault, name = Path(given["project"]), Path(given["vault"]), given["vault_id"]
    variable = f"SLIPWAY_VAULT_PASSWORD_{name.upper()}"
    if os.environ.get(variable):
        module.fail_json(msg=f"{variable} holds the password of {name} and cannot be changed from here; unset it first")
    try:
        text = read(project, vault)
        if not module.check_mode:
            change(project, vault, name, text, Path(given["password_file"]))
    except VaultError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True)


def change(project: Path, vault: Path, name: str, text: str, path: Path) -> None:
    """Encrypt `text` with a new password; at every moment one of the two files opens the vault."""
    fresh = path.with_name(f"{path.name}.new")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if fresh.exists() and opens(project, vault, f"{name}@{fresh}"):
        # An earlier change was stopped between the vault and its password.
        fresh.rename(path)
    password = secrets.token_urlsafe(36)
    replace(fresh, f"{password}\n".encode(), mode=0o600)
    write(project, vault, text, name, f"{name}@{fresh}")
    fresh.rename(path)
    sync_directory(path.parent)
    put_into_keyring(f"slipway:{project.name}", name, password)


def opens(project: Path, vault: Path, identity: str) -> bool:
    try:
        read(project, vault, identity)
    except VaultError:
        return False
    return True


if __name__ == "__main__":
    main()
