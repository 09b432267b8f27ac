#!/usr/bin/python
# Copyright: the Slipway contributors
"""The documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: look
short_description: Ask a host with a shell script that changes nothing
description:
  - Runs a script with C(sh) on the host, in check mode too, and never counts as changed.
  - M(ansible.builtin.command) starts Python on the host, and that compiles Ansible's own modules each time, which is
    most of what an unchanged task costs. A look has no need of it.
options:
  script:
    description: What C(sh) runs. It is not in the list of processes.
    type: str
    required: true
  arguments:
    description: What the script finds as C($1) and so on.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Looks just the same; it changes nothing.
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Look whether the shop's user is there
  look:
    script: id "$1" >/dev/null 2>&1 && echo "user $1"; true
    arguments: [shop]
  register: __shop_found
"""

RETURN = r"""
stdout:
  description: What the script said, without the last end of line.
  returned: always
  type: str
  sample: user shop
stdout_lines:
  description: The same in lines.
  returned: always
  type: list
  elements: str
rc:
  description: The script's exit code; another than 0 fails the task.
  returned: always
  type: int
"""
