#!/usr/bin/python
# Copyright: the Slipway contributors
"""The documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: visit
short_description: Ask websites over HTTPS at a given address
description:
  - Connects to O(address) and asks each site under its own name, with its certificate verified, as a browser would.
  - M(ansible.builtin.uri) cannot connect to one address and verify another name, which a host needs whose DNS is not
    set yet, or which is one of several.
  - Asks from the controller, whatever host the task is for.
options:
  address:
    description: The address to connect to.
    type: str
    required: true
  port:
    description: The port to connect to.
    type: int
    default: 443
  authority:
    description: A file with a certificate authority to trust besides the machine's own, where there is one.
    type: path
  sites:
    description: What to ask.
    type: list
    elements: dict
    required: true
    suboptions:
      domains:
        description: Its names; the first is asked for.
        type: list
        elements: str
        required: true
      health:
        description: The page to ask for (C(path)) and the status that has to come back (C(status)).
        type: dict
        default: {}
      access:
        description: With C(users) or C(allow), a stranger is to be turned away, and 401 or 403 is as good an answer.
        type: dict
        default: {}
  timeout:
    description: Seconds to wait for each answer.
    type: int
    default: 10
attributes:
  check_mode:
    support: full
    description: Asks just the same; it changes nothing.
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Ask the shop
  visit:
    address: 198.51.100.7
    sites:
      - {domains: [shop.example.com], health: {path: /healthz}}
"""

RETURN = r"""
sites:
  description: The URL and the status of each site.
  returned: success
  type: list
  elements: dict
  sample: [{url: "https://shop.example.com/healthz", status: 200}]
"""
