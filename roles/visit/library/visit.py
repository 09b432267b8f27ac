#!/usr/bin/python
# Copyright: the Slipway contributors
"""Asks websites over HTTPS at a given address, whatever DNS says."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: visit
short_description: Ask websites over HTTPS at a given address
description:
  - Connects to O(address) and asks each site under its own name, with its certificate verified, as a browser would.
  - M(ansible.builtin.uri) cannot connect to one address and verify another name, which a host needs whose DNS is not
    set yet, or which is one of several.
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
    description: A file with the certificate authority to trust instead of the machine's own.
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

import http.client
import socket
import ssl

from ansible.module_utils.basic import AnsibleModule


class Connection(http.client.HTTPSConnection):
    """HTTPS to one address under another name."""

    def __init__(self, address: str, port: int, name: str, context: ssl.SSLContext, timeout: int) -> None:
        super().__init__(address, port, timeout=timeout, context=context)
        self._name, self._tls = name, context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self._name)


def ask(connection: Connection, host: str, path: str) -> int:
    """The status that a site answers with."""
    try:
        connection.request("GET", path, headers={"Host": host, "User-Agent": "slipway-visit"})
        return connection.getresponse().status
    finally:
        connection.close()


def trusting(module: AnsibleModule) -> ssl.SSLContext:
    """A context that verifies certificates against the authority that was named, or the machine's own."""
    context = ssl.create_default_context()
    authority = module.params["authority"]
    if authority:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            module.fail_json(
                msg=f"The authority to trust cannot be read from {authority} on this machine: {error}. "
                "A run of site.yml copies it there from the host."
            )
    return context


def main() -> None:
    site = {
        "domains": {"type": "list", "elements": "str", "required": True},
        "health": {"type": "dict", "default": {}},
    }
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 443},
            "authority": {"type": "path"},
            "sites": {"type": "list", "elements": "dict", "options": site, "required": True},
            "timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    address, port = module.params["address"], module.params["port"]
    context = trusting(module)
    results, problems = [], []
    for site in module.params["sites"]:
        domain, path = site["domains"][0], site["health"].get("path", "/")
        wanted = site["health"].get("status", 200)
        host = domain if port == 443 else f"{domain}:{port}"
        url = f"https://{host}{path}"
        try:
            status = ask(Connection(address, port, domain, context, module.params["timeout"]), host, path)
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"No answer from {url} at {address}: {error}")
            continue
        results.append({"url": url, "status": status})
        if status != wanted:
            problems.append(f"{url} at {address} answered {status}, not {wanted}")
    if problems:
        module.fail_json(msg="\n".join(problems), sites=results)
    module.exit_json(changed=False, sites=results)


if __name__ == "__main__":
    main()
