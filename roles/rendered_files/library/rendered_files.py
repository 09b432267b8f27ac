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

import grp
import os
import pwd
import re
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule


class RefusedError(Exception):
    """Something is not as it has to be; nothing was put in place."""


class CheckError(RefusedError):
    """The check does not accept the files; `told` is what it said of them, with their paths on the host."""

    def __init__(self, message: str, told: str) -> None:
        super().__init__(message)
        self.told = told


@dataclass(frozen=True)
class Access:
    """Who owns a file and who may do what with it.

    Args:
        uid: its owner.
        gid: its group.
        mode: its permissions.
    """

    uid: int
    gid: int
    mode: int

    def fits(self, path: Path) -> bool:
        found = path.lstat()
        return (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (self.uid, self.gid, self.mode)

    def give(self, descriptor: int) -> None:
        os.fchown(descriptor, self.uid, self.gid)
        os.fchmod(descriptor, self.mode)


def read(path: Path) -> bytes | None:
    """What a regular file holds; None where there is none, or a link that is to become one."""
    if path.is_dir():
        raise RefusedError(f"{path} is a directory")
    return path.read_bytes() if path.exists() and not path.is_symlink() else None


def stage(path: Path, content: bytes, access: Access) -> Path:
    """Write a file beside its place, onto the disk; no pattern such as `*.conf` matches its name there."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            access.give(stream.fileno())
            os.fsync(stream.fileno())
    except OSError:
        Path(name).unlink()
        raise
    return Path(name)


def sync(directories: Iterable[Path]) -> None:
    """Have the names in the directories on the disk too."""
    for directory in set(directories):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def leftovers(patterns: list[str], marker: str, kept: Iterable[Path]) -> list[Path]:
    """Files of ours that match a pattern and are not asked for any more."""
    found = {path for pattern in patterns for path in Path("/").glob(pattern.lstrip("/"))} - set(kept)
    return sorted(path for path in found if marker.encode() in (read(path) or b"").split(b"\n", 1)[0])


def difference(path: Path, before: bytes | None, after: bytes | None) -> dict[str, str]:
    """What --diff shows of a file."""
    texts = [(content or b"").decode(errors="replace") for content in (before, after)]
    if before == after:
        texts = ["another owner or mode\n", ""]
    return {"before_header": str(path), "after_header": str(path), "before": texts[0], "after": texts[1]}


def access(owner: str, group: str, mode: str) -> Access:
    """What those names and that octal number stand for.

    Raises:
        RefusedError: the host knows no such user or group.
    """
    try:
        return Access(pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid, int(mode, 8))
    except KeyError as error:
        raise RefusedError(f"owner and group: {error.args[0]}") from None


def owners(removed: Iterable[Path], patterns: list[str]) -> dict[Path, str]:
    """The app of each file to remove: what stands for the `*` of the pattern that it matches."""
    ends = [pattern.split("*", 1) for pattern in patterns]
    return {
        path: str(path)[len(start) : len(str(path)) - len(end)]
        for start, end in ends
        for path in removed
        if path.match(f"{start}*{end}")
    }


class Files:
    """The set of files that a task asks for, against what the host has.

    Args:
        module: the task.

    Attributes:
        directories: those that are missing, or not open as they have to be.
        written: the files that differ.
        removed: the files that nobody asks for any more.
        refused: what the check said of each app whose files stay as they are.
        noted: what an earlier run has changed and nobody has applied.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        options: dict[str, Any] = module.params
        owner, group, mode = options["owner"], options["group"], options["mode"]
        self._folder = access(owner, group, "0755")
        self._own = access(owner, group, "0644")
        rendered = {Path(file["path"]): file for file in options["rendered"]}
        self._access = {
            path: access(owner, file.get("group") or group, file.get("mode") or mode) for path, file in rendered.items()
        }
        self._secrets = {Path(path): text for path, text in (options.get("secrets") or {}).items()}
        self._after = {path: self._secrets.get(path, file["content"] or "").encode() for path, file in rendered.items()}
        self._before = {path: read(path) for path in rendered}
        self._validate = {path: file["validate"] for path, file in rendered.items() if file["validate"]}
        self.directories = [path for path in map(Path, options["directories"]) if not self._open(path)]
        self.written = [path for path in rendered if self._differs(path)]
        self.removed = leftovers(options["prune"], options["marker"], rendered) if options["marker"] else []
        self._apps = {path: file["app"] for path, file in rendered.items() if file.get("app")}
        self._apps |= owners(self.removed, options["prune"])
        self.refused: dict[str, str] = {}
        self._pending = Path(options["pending"]) if options.get("pending") else None
        self.noted = self._pending.read_text().splitlines() if self._pending and self._pending.exists() else []

    def _open(self, path: Path) -> bool:
        return path.is_dir() and self._folder.fits(path)

    def _differs(self, path: Path) -> bool:
        return self._before[path] != self._after[path] or not self._access[path].fits(path)

    def changed(self) -> bool:
        return bool(self.directories or self.written or self.removed or self.noted)

    def files(self) -> list[str]:
        """What is to be applied."""
        written = [str(path) for path in self.written]
        return written + [path for path in self.noted if path not in written]

    def diff(self) -> list[dict[str, str]]:
        """What --diff shows; to be asked before the files are in place."""
        shown = [path for path in self.written if path not in self._secrets]
        hidden = [path for path in self.written if path in self._secrets]
        written = [difference(path, self._before[path], self._after[path]) for path in shown]
        written += [difference(path, b"", b"(holds a secret)\n") for path in hidden]
        secret = {path for path in self.removed if self._unreadable(path)}
        return written + [difference(path, b"" if path in secret else read(path), None) for path in self.removed]

    @staticmethod
    def _unreadable(path: Path) -> bool:
        """Whether a file on the host is closed to others, as one that held a secret is."""
        return not path.stat().st_mode & stat.S_IROTH

    def put(self) -> None:
        """Write, check, then rename: up to the first rename nothing has changed that anybody reads."""
        for path in self.directories:
            path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDONLY)
            self._folder.give(descriptor)
            os.close(descriptor)
        staged: dict[Path, Path] = {}
        try:
            for path in self.written:
                staged[path] = stage(path, self._after[path], self._access[path])
                if path in self._validate:
                    self._ask(self._validate[path], staged[path], path)
            self._check_apart(staged)
            self._note()
            for path in self.written:
                staged.pop(path).rename(path)
            for path in self.removed:
                path.unlink()
            sync(path.parent for path in (*self.directories, *self.written, *self.removed))
        finally:
            for temporary in staged.values():
                temporary.unlink()

    def _note(self) -> None:
        """Have it on the disk, before anything changes, what somebody has to apply."""
        if self._pending and (self.written or self.removed):
            self._pending.parent.mkdir(parents=True, exist_ok=True)
            changed = dict.fromkeys([*self.noted, *map(str, (*self.written, *self.removed))])
            stage(self._pending, "".join(f"{path}\n" for path in changed).encode(), self._own).rename(self._pending)
            sync([self._pending.parent])

    def _check_apart(self, staged: dict[Path, Path]) -> None:
        """Check, and as long as one app is to blame, leave that app's files out and check the others.

        Raises:
            CheckError: no app is to blame, or the task wants all files or none.
        """
        while True:
            try:
                return self._check({path: staged[path] for path in self.written}, staged.values())
            except CheckError as error:
                app = self._to_blame(error.told) if self._module.params.get("apart") else None
                if app is None:
                    raise
                self.refused[app] = error.told
                self.written = [path for path in self.written if self._apps.get(path) != app]
                self.removed = [path for path in self.removed if self._apps.get(path) != app]

    def _to_blame(self, told: str) -> str | None:
        """The app one of whose new files the check names; a name may be the end of another one's."""
        named = [path for path in self.written if re.search(rf"{re.escape(str(path))}(?![\w.-])", told)]
        return next((self._apps[path] for path in named if path in self._apps), None)

    def _check(self, staged: dict[Path, Path], temporaries: Iterable[Path]) -> None:
        options = self._module.params["check"]
        if not options:
            return
        directory = Path(options["directory"])
        staged = {path: temporary for path, temporary in staged.items() if path.is_relative_to(directory)}
        removed = [path for path in self.removed if path.is_relative_to(directory)]
        if not staged and not removed:
            return
        unfinished = shutil.ignore_patterns(*(temporary.name for temporary in temporaries))
        with tempfile.TemporaryDirectory(dir=self._module.tmpdir) as parent:
            copy = Path(parent) / directory.name
            shutil.copytree(directory, copy, symlinks=True, ignore=unfinished)
            for path in (*staged, *removed):
                (copy / path.relative_to(directory)).unlink(missing_ok=True)
            for path, temporary in staged.items():
                shutil.copyfile(temporary, copy / path.relative_to(directory))
            self._ask(options["command"], copy, directory)

    def _ask(self, command: str, place: Path, path: Path) -> None:
        words = [word.replace("%s", str(place)) for word in shlex.split(command)]
        code, output, error = self._module.run_command(words)
        if code:
            told = (error.strip() or output.strip() or f"exit code {code}").replace(str(place), str(path))
            raise CheckError(f"{words[0]} refuses the new {path}, so no file was changed:\n{told}", told)


def put(module: AnsibleModule) -> dict[str, Any]:
    """Do what the task asks for, and say what that was."""
    files = Files(module)
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
