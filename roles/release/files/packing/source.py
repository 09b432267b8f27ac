"""What every kind of source has in common, and where to find the right kind for an app."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


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

    def pack(self, target: Path) -> None:
        """Write the source to `target`, as a compressed tar archive."""

    def files(self) -> dict[str, str]:
        """A digest for each file by its name, to list what a deploy would change."""

    def read(self, name: str) -> str:
        """The text of one file, or nothing where there is no such file."""


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
