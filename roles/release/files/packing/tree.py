"""A directory on the controller."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import tarfile
from pathlib import Path

from packing.source import SourceError

# What no release needs and a directory without git cannot tell us to leave out.
_NEVER = {".git", ".venv", "venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "node_modules", ".env"}


class Tree:
    """A source tree; git, where there is one, says what belongs to it.

    Args:
        key: the user's key, for messages.
        root: the directory.

    Attributes:
        names: what belongs to it, relative to `root`, sorted.
    """

    def __init__(self, key: str, root: Path) -> None:
        if not root.is_dir():
            raise SourceError(f"{key}.path: there is no directory {root}")
        self.root = root
        self.names = _tracked(root) or _walk(root)
        if not self.names:
            raise SourceError(f"{key}.path: the directory {root} is empty")
        self._files = {name: self._digest(name) for name in self.names}
        lines = "".join(f"{name}\0{digest}\n" for name, digest in self._files.items())
        self.digest = hashlib.sha256(lines.encode()).hexdigest()
        self.revision = _revision(root)

    def _digest(self, name: str) -> str:
        path = self.root / name
        mode = path.lstat().st_mode
        content = os.readlink(path).encode() if stat.S_ISLNK(mode) else path.read_bytes()
        kind = "link" if stat.S_ISLNK(mode) else "program" if mode & 0o100 else "file"
        return f"{kind}:{hashlib.sha256(content).hexdigest()}"

    def files(self) -> dict[str, str]:
        return self._files

    def read(self, name: str) -> str:
        path = self.root / name
        return path.read_text(errors="replace") if path.is_file() else ""

    def pack(self, target: Path) -> None:
        with tarfile.open(target, "w:gz", compresslevel=6) as archive:
            for name in self.names:
                archive.add(self.root / name, name, recursive=False)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout


def _tracked(root: Path) -> list[str]:
    """The files that git tracks or would track; empty outside a checkout."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard") or ""
    # A tracked file that was deleted is still listed.
    return sorted(name for name in set(listed.split("\0")) if name and os.path.lexists(root / name))


def _walk(root: Path) -> list[str]:
    names: list[str] = []
    for directory, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _NEVER]
        links = [name for name in folders if (Path(directory) / name).is_symlink()]
        names += [
            str((Path(directory) / name).relative_to(root))
            for name in (*files, *links)
            if name not in _NEVER and not name.endswith(".pyc")
        ]
    return sorted(names)


def _revision(root: Path) -> str | None:
    if _git(root, "status", "--porcelain", "--", ".") != "":
        return None
    return (_git(root, "rev-parse", "HEAD") or "").strip() or None
