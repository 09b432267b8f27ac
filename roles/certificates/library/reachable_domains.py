#!/usr/bin/python
# Copyright: the Slipway contributors
"""The documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: reachable_domains
short_description: See that domains lead to a host, and that it answers there as an authority expects
description:
  - Resolves each domain and asks every address that it has for C(/.well-known/acme-challenge/<token>) over plain HTTP,
    as an ACME authority does before it gives a certificate. Refused attempts are counted there; these are not.
  - What is wrong does not fail the task, so that the apps that nothing is wrong with get theirs.
  - Asks from the controller, whatever host the task is for.
options:
  apps:
    description: The domains of each app.
    type: dict
    required: true
  host:
    description: The address that the domains should lead to; only for messages.
    type: str
    required: true
  token:
    description: The name of a file among the host's challenges that holds this name.
    type: str
    required: true
  port:
    description: The port that visitors reach port 80 at.
    type: int
    default: 80
  resolver:
    description: A DNS server to ask, as C(address) or C(address:port); empty for the controller's own.
    type: str
    default: ""
  timeout:
    description: Seconds for each answer.
    type: int
    default: 5
attributes:
  check_mode:
    support: full
    description: Asks just the same; it changes nothing.
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: See that the domains lead here
  reachable_domains:
    apps: {shop: [shop.example.com, www.shop.example.com]}
    host: 198.51.100.7
    token: "{{ token }}"
"""

RETURN = r"""
problems:
  description: For each app whose domains do not all lead to the host, what is wrong with which and what to change.
  returned: success
  type: dict
  sample: {shop: ["shop.example.com has no address in DNS. Give it an A record for 198.51.100.7."]}
"""
