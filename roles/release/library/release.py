#!/usr/bin/python
# Copyright: the Slipway contributors
"""Installs the `slipway` program on the host; the action plugin of the same name calls it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release
short_description: Deploy releases of Flask apps, or roll one back
description:
  - Packs each app's source on the controller, sends it only where the host does not hold that release yet, and lets
    the C(slipway) program on the host carry out the release transaction.
  - The action plugin takes O(apps) or O(app); the other options are what it passes to the host.
options:
  state:
    description:
      - V(deployed) makes each app serve the release that O(apps) describes.
      - V(rolled_back) makes O(app) serve an earlier release.
      - V(listed) reports what serves, changing nothing.
      - V(removed) stops everything of O(app) and takes its code away.
      - V(backed_up) takes a backup of O(app), or of every app.
      - V(restored) brings the data of O(app) back from a backup.
    type: str
    choices: [deployed, rolled_back, listed, removed, backed_up, restored]
    default: deployed
  apps:
    description: The apps, by name; see C(release_apps) of the role.
    type: dict
    default: {}
  options:
    description: What holds for every app; the role's other variables.
    type: dict
    default: {}
  app:
    description: The app to roll back, to remove, to back up or to restore.
    type: str
  data:
    description: With V(removed), take the app's data away as well.
    type: bool
    default: false
  release:
    description: >-
      The release to roll back to; without it, the good one before the serving one. With V(restored), the release
      that is to serve what is restored.
    type: str
  force:
    description: With V(rolled_back), go even to a release that failed, or that the database has been migrated past.
    type: bool
    default: false
  at:
    description: With V(restored), the newest backup that is not younger than this time.
    type: str
  backup:
    description: With V(restored), a certain backup.
    type: str
  migrate:
    description: With V(restored), run the release command on what is restored before it serves.
    type: bool
    default: false
  program:
    description: Set by the action plugin. The program itself, base64-encoded, where the host is to install it.
    type: str
attributes:
  check_mode:
    support: full
    description: Says which apps would change.
notes:
  - A failure reports the failing program's last lines; settings and values of environment variables never appear.
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Deploy every app
  release:
    apps: "{{ release_apps }}"

- name: Go back to the release before the one that serves
  release:
    state: rolled_back
    app: shop
"""

RETURN = r"""
releases:
  description: For each app, the release that serves now, the one before, and whether this run changed it.
  returned: success
  type: dict
  sample: {shop: {release: 3f2a9c1b04d7, previous: 9b1c22d0aa41, changed: true}}
"""

import base64
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

PROGRAM = "/usr/local/bin/slipway"


def install(program: bytes) -> None:
    """Put the program in place in one step."""
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(PROGRAM), prefix=".slipway-")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(program)
        os.fchmod(stream.fileno(), 0o755)
        os.fsync(stream.fileno())
    os.rename(temporary, PROGRAM)


def main() -> None:
    module = AnsibleModule(argument_spec={"program": {"type": "str", "required": True}}, supports_check_mode=True)
    if not module.check_mode:
        install(base64.b64decode(module.params["program"]))
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
