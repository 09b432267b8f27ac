"""Whether files on a host are as they have to be, asked with what every host has: nothing is started there for it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Wanted:
    """How files have to be.

    Args:
        owner: of all of them.
        group: of those that say no other.
        directories: what has to be there, open to everybody.
        files: the content, mode and group of each path.
        patterns: what may match nothing besides those paths.
        pending: a file that must not be there.
    """

    owner: str
    group: str
    directories: list[str] = field(default_factory=list)
    files: dict[str, tuple[bytes, str, str]] = field(default_factory=dict)
    patterns: list[str] = field(default_factory=list)
    pending: str = ""

    def script(self) -> str:
        """What has to be run on the host, for `answer` to come back if all is well."""
        paths, files = shlex.join([*self.directories, *self.files]), shlex.join(self.files)
        lines = ["export LC_ALL=C", "exec 2>/dev/null"]
        lines += [f"stat --format '%F %a %U %G %n' -- {paths}"] if paths else []
        lines += [f"sha256sum -- {files}"] if files else []
        lines += [f"printf '%s\\n' {'*'.join(map(shlex.quote, pattern.split('*')))}" for pattern in self.patterns]
        lines += [f"ls -d -- {shlex.quote(self.pending)}"] if self.pending else []
        return "\n".join([*lines, "true"])

    def answer(self) -> list[str]:
        """What the script says where nothing is to be done."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        for path in self.directories:
            yield f"directory 755 {self.owner} {self.group} {path}"
        for path, (content, mode, group) in self.files.items():
            kind = "regular file" if content else "regular empty file"
            yield f"{kind} {int(mode, 8):o} {self.owner} {group} {path}"
        for path, (content, _, _) in self.files.items():
            yield f"{hashlib.sha256(content).hexdigest()}  {path}"
        for pattern in self.patterns:
            # A pattern that nothing matches stays what it is.
            yield from sorted(path for path in self.files if fnmatchcase(path, pattern)) or [pattern]
