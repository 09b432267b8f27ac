#!/usr/bin/python
# Copyright: the Slipway contributors
"""The documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: vault_secrets
short_description: Refuse secrets that are none
description:
  - Looks at a host's secrets as the vault holds them. Each has to be text, marked C(!unsafe) so that nothing in it is
    taken for a template, long enough, no placeholder, and possible in a configuration file.
  - A group's C(vault.yml) has to be encrypted.
  - Messages name the key and never show the value.
options:
  prefix:
    description: How the names of variables that hold secrets begin.
    type: str
    required: true
  plain_in:
    description: Variables, by name, in which no secret may be written out.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: It changes nothing.
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Check the secrets
  vault_secrets:
    prefix: vault_
    plain_in: [apps]
"""

RETURN = r"""
"""
