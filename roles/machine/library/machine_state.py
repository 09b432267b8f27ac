#!/usr/bin/python
# Copyright: the Slipway contributors
"""The documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: machine_state
short_description: Refuse a machine that cannot be worked on
description:
  - Runs one script of shell words on the host, which writes nothing and needs no Python, and judges on the controller.
  - Waits for apt where it is busy and nothing else is wrong.
options:
  purpose:
    description: To C(provision) all is looked at; to C(deploy) the clock and the version alone.
    type: str
    choices: [provision, deploy]
    required: true
  version:
    description: The version of Slipway that is at work.
    type: str
    required: true
  changes:
    description: A YAML file, the changes that have to be acknowledged, each with its C(version) and C(text).
    type: path
    required: true
  acknowledged:
    description: The latest version whose changes were read.
    type: str
    default: ""
  directories:
    description: Where room is needed.
    type: list
    elements: path
    default: []
  ports:
    description: TCP ports that have to be free, or nginx's.
    type: list
    elements: int
    default: []
  apps:
    description: Names that must not be those of users and groups already.
    type: list
    elements: str
    default: []
  apt_timeout:
    description: Seconds to wait for apt.
    type: int
    default: 0
  wanted:
    description: The least that will do, C(releases), C(architectures), C(memory), C(disk), C(inodes), and C(clock).
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: It changes nothing.
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Look at the machine
  machine_state:
    purpose: deploy
    version: 0.1.0
    changes: changes.yml
    directories: [/srv]
    wanted: {disk: 512, clock: 60}
"""

RETURN = r"""
version:
  description: The version of Slipway that provisioned the host last; empty where none has.
  returned: always
  type: str
redis:
  description: The apps that have a Redis there.
  returned: always
  type: list
  elements: str
  sample: [shop]
"""
