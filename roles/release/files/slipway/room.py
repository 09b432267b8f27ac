"""Room on the host's disks, looked at before it is taken."""

from __future__ import annotations

import os
from pathlib import Path

from slipway.errors import SlipwayError


def require(
    path: Path, needed: int, what: str, *, hint: str = "Free some room; nothing was begun.", shown: str = ""
) -> None:
    """See that the disk that holds a path has room for what comes, in bytes.

    Args:
        path: of a file or directory that is there.
        needed: bytes.
        what: the end of "The disk that holds ... has 3 MiB free, and", before how many it takes.
        hint: what to do.
        shown: what to call the path.

    Raises:
        SlipwayError: it has not.
    """
    disk = os.statvfs(path)
    compare(disk.f_bavail * disk.f_frsize, needed, what, hint=hint, shown=shown or str(path))


def compare(free: int, needed: int, what: str, *, hint: str, shown: str) -> None:
    """The same for a disk that somebody else has looked at, who found so many bytes free.

    Raises:
        SlipwayError: they do not do.
    """
    if free < needed:
        raise SlipwayError(
            f"The disk that holds {shown} has {free >> 20} MiB free, and {what} {needed >> 20} MiB.", hint=hint
        )


def require_inodes(path: Path, needed: int, what: str) -> None:
    """See that the disk that holds a path has room for that many files and directories.

    Raises:
        SlipwayError: it has not.
    """
    disk = os.statvfs(path)
    # A file system that counts none, such as btrfs, says 0 of 0.
    if disk.f_files and disk.f_favail < needed:
        raise SlipwayError(f"The disk that holds {path} has {disk.f_favail} inodes free, and {what} {needed}.")
