#!/usr/bin/python
# Copyright: the Slipway contributors
"""Puts a set of rendered files in place, all or none; the action plugin of the same name renders them."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rendered_files
short_description: Render many templates and put them in place in one round trip
description:
  - Renders the template of each file on the controller and writes what differs on the host, in one call for all of
    them, where M(ansible.builtin.template) needs several for each.
  - The template of C(/etc/nginx/nginx.conf) is C(templates/etc/nginx/nginx.conf.j2) of the role.
  - Every file is written beside its place and checked there. Only when all checks have passed are they renamed into
    place; when one fails, nothing has changed.
options:
  files:
    description:
      - Paths on the host.
      - A path with C({app}) is rendered once for each of O(apps). In the template's name C(app) stands for it. An app
        for which the template gives nothing but blanks gets no such file.
      - "A dictionary says more of one file: its C(path), the name of its C(template) below C(templates), without its
        suffix, C(variables) for it, its C(mode) and C(group), and C(secret) where no output may show what it holds."
    type: list
    elements: raw
    required: true
  apps:
    description: The apps, by name.
    type: dict
    default: {}
  app_variable:
    description: The variable that the template of a path with C({app}) finds its app in, as C(key) and C(value).
    type: str
    default: app
  prune:
    description:
      - Remove what a path with C({app}) has given for apps that are no more.
      - Files without V(ansible_managed) in their first line belong to somebody else, and stay.
    type: bool
    default: false
  directories:
    description: Directories to make first, open to read for everybody.
    type: list
    elements: path
    default: []
  mode:
    description: Mode of the files.
    type: str
    default: "0644"
  owner:
    description: Owner of the files and of O(directories).
    type: str
    default: root
  group:
    description: Group of the files and of O(directories).
    type: str
    default: root
  validate:
    description: For paths among O(files), a command that accepts the new file; C(%s) is its place until it is accepted.
    type: dict
    default: {}
  check:
    description: A check of all files together, as they are going to be.
    type: dict
    suboptions:
      directory:
        description: The directory to look at; the check gets a copy of it that holds the new files.
        type: path
        required: true
      command:
        description: A command that accepts the copy; C(%s) is its place.
        type: str
        required: true
  apart:
    description:
      - Where O(check) refuses a file of one of O(apps), and names it, leave that app's files as they are and put the
        others in place.
    type: bool
    default: false
  pending:
    description:
      - A file that names what has changed, from before the change until whoever applies it removes that file.
      - What it names counts as changed again, so that a run that died before its handlers leaves them to the next one.
    type: path
  rendered:
    description: Set by the action plugin. The files with their content.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it belongs.
        type: path
        required: true
      content:
        description: What it holds; nothing where O(secrets) has it.
        type: str
      validate:
        description: The command that accepts it.
        type: str
      app:
        description: The app that it belongs to.
        type: str
      mode:
        description: Its mode, where it is not O(mode).
        type: str
      group:
        description: Its group, where it is not O(group).
        type: str
  secrets:
    description: Set by the action plugin. What secret files hold, by their path.
    type: dict
    default: {}
  marker:
    description: Set by the action plugin. What the first line of a file of ours holds.
    type: str
attributes:
  check_mode:
    support: full
    description: Says which files would change. O(validate) and O(check) need them written and are left out.
  diff_mode:
    support: full
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Configure nginx
  rendered_files:
    files:
      - /etc/nginx/nginx.conf
      - /etc/nginx/conf.d/{app}.conf
    apps: "{{ nginx_apps }}"
    app_variable: __nginx_app
    prune: true
    check:
      directory: /etc/nginx
      command: nginx -t -q -c %s/nginx.conf
  notify: Reload nginx

- name: Write the units
  rendered_files:
    files: [/etc/systemd/system/shop.service]
    pending: /var/lib/slipway/pending/units
  # Whose handlers reload systemd, then remove that file.
  notify: Reload systemd
"""

RETURN = r"""
files:
  description:
    - The paths that were written, or would be, and with O(pending) those that an earlier run has left to apply.
  returned: success
  type: list
  elements: str
  sample: [/etc/nginx/conf.d/shop.conf]
removed:
  description: The paths that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: []
refused:
  description: With O(apart), what the check said of each app whose files stay as they are.
  returned: success
  type: dict
  sample: {}
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.file_set import FileSet
from ansible.module_utils.files_on_disk import RefusedError


def put(module: AnsibleModule) -> dict[str, Any]:
    """Do what the task asks for, and say what that was."""
    files = FileSet(module)
    result: dict[str, Any] = {
        "changed": files.changed(),
        "files": files.files(),
        "removed": [str(path) for path in files.removed],
    }
    if module._diff:  # noqa: SLF001 - there is no other way to know, Ansible's own modules do it too
        result["diff"] = files.diff()
    if files.changed() and not module.check_mode:
        files.put()
        result |= {"changed": files.changed(), "files": files.files()}
        result |= {"removed": [str(path) for path in files.removed], "refused": files.refused}
        for app, told in files.refused.items():
            module.warn(f"The files of {app} stay as they are:\n{told}")
    return result


def main() -> None:
    file = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "validate": {"type": "str"},
        "app": {"type": "str"},
        "mode": {"type": "str"},
        "group": {"type": "str"},
    }
    check = {"directory": {"type": "path", "required": True}, "command": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "rendered": {"type": "list", "elements": "dict", "options": file, "default": []},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "directories": {"type": "list", "elements": "path", "default": []},
            "prune": {"type": "list", "elements": "str", "default": []},
            "marker": {"type": "str"},
            "mode": {"type": "str", "default": "0644"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "check": {"type": "dict", "options": check},
            "apart": {"type": "bool", "default": False},
            "pending": {"type": "path"},
        },
        supports_check_mode=True,
    )
    # Directories on the way are for everybody, too, whatever the umask of whoever logs in.
    os.umask(0o022)
    try:
        result = put(module)
    except (RefusedError, OSError) as error:
        module.fail_json(msg=str(error))
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()
