"""Changes to the file system that survive a power cut.

A rename alone is atomic for other processes but not for the disk: without the syncs below a power cut can leave
`current` naming a release whose files are all empty.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Flush a directory's own entries (names, renames, links) to disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(directory: Path) -> None:
    """Flush everything on the file system that holds `directory`; far cheaper than an fsync for each file."""
    result = subprocess.run(["sync", "--file-system", str(directory)], capture_output=True, text=True)
    if result.returncode:
        raise OSError(errno.EIO, result.stderr.strip(), str(directory))


def write_file(path: Path, data: bytes, *, mode: int = 0o644, gid: int = -1) -> None:
    """Replace `path` in one step: temporary file, fsync, rename, fsync of the directory.

    Args:
        path: the file to write; its directory must exist.
        data: the new content.
        mode: permission bits, set before the content is written so that a secret is never readable meanwhile.
        gid: numeric group; -1 leaves the process's own.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchown(stream.fileno(), -1, gid)
            os.fchmod(stream.fileno(), mode)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def append_line(path: Path, line: str, *, mode: int = 0o640) -> None:
    """Append one line in a single write and flush it, so that a reader sees all of it or none."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode)
    try:
        os.write(descriptor, line.encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    """Rename and flush the parent, so that the new name is on disk when this returns."""
    os.rename(source, target)
    sync_directory(target.parent)


def replace_link(link: Path, target: str) -> None:
    """Point `link` at `target` with one rename: whoever opens it sees the old target or the new one, never neither."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(target, temporary)
    rename(temporary, link)
