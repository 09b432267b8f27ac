# Copyright: the Slipway contributors
"""A set of files that a task asks for: what differs on the host, and how it gets there."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.file_checks import CheckError, Checks
from ansible.module_utils.files_on_disk import access, read, stage, sync


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


def owners(removed: Iterable[Path], patterns: list[str]) -> dict[Path, str]:
    """The app of each file to remove: what stands for the `*` of the pattern that it matches."""
    ends = [pattern.split("*", 1) for pattern in patterns]
    return {
        path: str(path)[len(start) : len(str(path)) - len(end)]
        for start, end in ends
        for path in removed
        if path.match(f"{start}*{end}")
    }


class FileSet:
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
        self._checks = Checks(module)
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
        self.directories = [path for path in map(Path, options["directories"]) if not self._open(path)]
        self.written = [path for path in rendered if self._differs(path)]
        self.removed = leftovers(options["prune"], options["marker"], rendered) if options["marker"] else []
        self._apps = {path: file["app"] for path, file in rendered.items() if file.get("app")}
        self._apps |= owners(self.removed, options["prune"])
        self.refused: dict[str, str] = {}
        self._apart = bool(options.get("apart"))
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
                self._checks.one(path, staged[path])
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
                new = {path: staged[path] for path in self.written}
                self._checks.together(new, self.removed, staged.values())
            except CheckError as error:
                app = self._to_blame(error.told) if self._apart else None
                if app is None:
                    raise
                self.refused[app] = error.told
                self.written = [path for path in self.written if self._apps.get(path) != app]
                self.removed = [path for path in self.removed if self._apps.get(path) != app]
            else:
                return

    def _to_blame(self, told: str) -> str | None:
        """The app one of whose new files the check names; a name may be the end of another one's."""
        named = [path for path in self.written if re.search(rf"{re.escape(str(path))}(?![\w.-])", told)]
        return next((self._apps[path] for path in named if path in self._apps), None)
