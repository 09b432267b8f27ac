# Copyright: the Slipway contributors
"""Files on the host: who may do what with them, what they hold, and how they get onto the disk."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class RefusedError(Exception):
    """Something is not as it has to be; nothing was put in place."""


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


def access(owner: str, group: str, mode: str) -> Access:
    """What those names and that octal number stand for.

    Raises:
        RefusedError: the host knows no such user or group.
    """
    try:
        return Access(pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid, int(mode, 8))
    except KeyError as error:
        raise RefusedError(f"owner and group: {error.args[0]}") from None


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
