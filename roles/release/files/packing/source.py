"""What every kind of source has in common, and where to find the right kind for an app."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any, Protocol

# How a file begins that stands for one in git's large-file storage, and how short such a file is.
_POINTER = b"version https://git-lfs.github.com/spec/v1"[:40]
_POINTER_SIZE = 1024


class SourceError(Exception):
    """A source cannot be had; the message names the key and what to do."""


class Source(Protocol):
    """A source, wherever it comes from.

    Attributes:
        digest: changes exactly when the content does.
        revision: the commit that it is, or None where that cannot be said.
    """

    digest: str
    revision: str | None

    def pack(self, target: Path) -> list[str]:
        """Write the source to `target`, as a compressed tar archive.

        Returns:
            What the user should know though nothing failed.
        """

    def files(self) -> dict[str, str]:
        """A digest for each file by its name, to list what a deploy would change."""

    def read(self, name: str) -> str:
        """The text of one file, or nothing where there is no such file."""


def pointers(key: str, archive: Path) -> list[str]:
    """Say so where an archive holds files of git's large-file storage, whose content is elsewhere."""
    with tarfile.open(archive) as tar:
        small = (member for member in tar if member.isreg() and member.size < _POINTER_SIZE)
        found = [member.name for member in small if (file := tar.extractfile(member)) and file.read(40) == _POINTER]
    if not found:
        return []
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [f"{key}: {found[0]}{more} came as pointers to large-file storage, not as what they stand for"]


def find(name: str, app: dict[str, Any], root: Path) -> Source:
    """The source of an app.

    Args:
        name: the app's name.
        app: what the user wrote of it.
        root: where relative paths begin, and `.slipway/` is.

    Raises:
        SourceError: it is not there, or cannot be fetched.
    """
    # Here and not above: each kind knows this module.
    from packing import git, requirement, tree  # noqa: PLC0415

    source, key = app["source"], f"apps.{name}.source"
    if "git" in source:
        return git.Checkout(key, source, cache=root / ".slipway" / "git")
    if "pip" in source:
        lock = root / str(app.get("requirements") or "requirements.txt")
        return requirement.Requirement(key, str(source["pip"]), lock)
    return tree.Tree(key, root / Path(str(source["path"])).expanduser())
