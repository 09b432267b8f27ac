#!/usr/bin/python
# Copyright: the Slipway contributors
"""The documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: checked_inputs
short_description: Refuse variables that cannot be meant so
description:
  - Looks at all variables of a host at once, and connects to none. Problems are told with the file and line to edit.
  - A variable that begins with a role's name has to be an input of that role, and its value what the role's
    C(meta/argument_specs.yml) and C(files/inputs.yml) ask for.
  - A secret has to be text, marked C(!unsafe) so that nothing in it is taken for a template, long enough, no
    placeholder, and possible in a configuration file. A group's C(vault.yml) has to be encrypted.
  - Messages name the key of a secret and never show its value.
options:
  project:
    description: The folder that holds C(roles) and C(group_vars).
    type: path
    required: true
  secrets:
    description: How the names of variables that hold secrets begin.
    type: str
    required: true
  written_in:
    description: Variables, by name, in which no secret may be written out, and every template must have its variables.
    type: list
    elements: str
    default: []
  found_in:
    description:
      - Variables, by name, that hold what filters have found in those, each problem as its key, a colon and the text.
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
- name: Check what was said
  checked_inputs:
    project: "{{ playbook_dir }}"
    secrets: vault_
    written_in: [apps]
"""

RETURN = r"""
"""
