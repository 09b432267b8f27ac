#!/usr/bin/python
# Copyright: the Slipway contributors
"""Serves certificates that were given; the action plugin of the same name reads and checks them."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: given_certificates
short_description: Serve certificates that were given, once they have passed every check
description:
  - Reads certificates and keys on the controller, from files or as they are, and checks there that each key belongs to
    its certificate, that the chain is in order, that nothing has expired, and that all domains are named.
  - Only when nothing is wrong with any of them does it ask the host, and put in place what the host does not have. In
    one round trip, certificate and key in one step.
  - No key is ever shown, not by C(--diff) either.
options:
  directory:
    description: Holds a directory for each app.
    type: path
    required: true
  root:
    description: The directory on the controller that paths are relative to.
    type: path
    required: true
  certificates:
    description:
      - "By the name of the app: its C(domains), C(certificate) and C(key). Each of the two is the text itself or the
        path of a file, encrypted by the vault or not."
    type: dict
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Serve what the certificate's seller has sent
  given_certificates:
    root: "{{ playbook_dir }}"
    directory: /etc/ssl/slipway
    certificates:
      shop: {domains: [shop.example.com], certificate: certificates/shop.pem, key: "{{ vault_shop_tls_key }}"}
"""

RETURN = r"""
served:
  description: The apps that are served another certificate now, or would be.
  returned: success
  type: list
  elements: str
  sample: [shop]
"""

import datetime as dt
import stat
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.certificate_store import Store


def is_served(store: Store, pair: dict[str, str]) -> bool:
    """Whether just this pair is served, and only root can read its key."""
    try:
        same = store.certificate.read_text() == pair["certificate"] and store.key.read_text() == pair["key"]
        found = store.key.stat()
    except (OSError, ValueError):
        return False
    right = (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o600)
    return same and right and store.serving().startswith("files-")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "pairs": {"type": "dict", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    pairs: dict[str, dict[str, str]] = module.params["pairs"]
    stores = {app: Store(Path(module.params["directory"]), app) for app in pairs}
    served = [app for app, pair in pairs.items() if not is_served(stores[app], pair)]
    for app in served if not module.check_mode else []:
        name = f"files-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S.%fZ}"
        pair = pairs[app]
        stores[app].put(name, pair["certificate"].encode(), pair["key"].encode(), "files")
        stores[app].prune()
    module.exit_json(changed=bool(served), served=served)


if __name__ == "__main__":
    main()
