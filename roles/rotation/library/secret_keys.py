#!/usr/bin/python
# Copyright: the Slipway contributors
"""Rotates keys in a vault on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: secret_keys
short_description: Rotate keys in a vault
description:
  - Gives each key a new value and moves the old one to the front of the list I(key)C(_fallbacks), with the day until
    which it is kept. A rotation after that day drops it.
  - Rewrites the vault in place, in one step; its other contents and comments stay. The plain text is never on a disk.
options:
  project:
    description: The directory of C(ansible.cfg), which says where the vault's password comes from.
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
  names:
    description: The keys.
    type: list
    elements: str
    required: true
  keep_days:
    description: For how many days the old key is promised to be kept.
    type: int
    required: true
  leaked:
    description: Keep no old key.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Does everything but replace the file.
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Rotate the shop's key
  secret_keys:
    project: /opt/shop
    vault: /opt/shop/group_vars/production/vault.yml
    vault_id: production
    names: [vault_shop_secret_key]
    keep_days: 31
  delegate_to: localhost
"""

RETURN = r"""
kept:
  description: For each key, the days until which its older ones are kept.
  returned: success
  type: dict
  sample: {vault_shop_secret_key: ["2026-12-24"]}
"""

import secrets
from datetime import datetime, timezone
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.key_rotation import RotationError, rotate
from ansible.module_utils.vault_file import VaultError, read, write


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "path", "required": True},
            "vault": {"type": "path", "required": True},
            "vault_id": {"type": "str", "required": True},
            # Names and days, not keys: Ansible would blank them for their options' names.
            "names": {"type": "list", "elements": "str", "required": True, "no_log": False},
            "keep_days": {"type": "int", "required": True},
            "leaked": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    today = datetime.now(timezone.utc).date()  # noqa: UP017  # the controller's Python may be any
    project, vault = Path(given["project"]), Path(given["vault"])
    kept: dict[str, list[str]] = {}
    try:
        text = read(project, vault)
        rotated, kept = rotate(
            text,
            given["names"],
            today,
            keep_days=given["keep_days"],
            leaked=given["leaked"],
            make=lambda: secrets.token_urlsafe(48),
        )
        if not module.check_mode:
            write(project, vault, rotated, given["vault_id"])
    except (RotationError, VaultError) as error:
        module.fail_json(msg=f"{vault}: {error}")
    module.exit_json(changed=True, kept=kept)


if __name__ == "__main__":
    main()
