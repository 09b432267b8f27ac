"""A directory on the controller."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import tarfile
from pathlib import Path

from packing.command import environment
from packing.source import SourceError, pointers

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
        self.root, self._key = root, f"{key}.path"
        self._missing: list[str] = []
        try:
            self.names = sorted(self._tracked(root)) or _walk(root)
            self._files = {name: self._digest(name) for name in self.names}
        except OSError as error:
            raise SourceError(f"{self._key}: {error.filename}: {error.strerror}") from None
        if not self.names:
            raise SourceError(f"{self._key}: the directory {root} is empty")
        lines = "".join(f"{name}\0{digest}\n" for name, digest in self._files.items())
        self.digest = hashlib.sha256(os.fsencode(lines)).hexdigest()
        self.revision = self._revision()

    def _digest(self, name: str) -> str:
        path = self.root / name
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            target = os.readlink(path)
            if os.path.isabs(target) or os.path.normpath(os.path.join(os.path.dirname(name), target)).startswith(".."):
                raise SourceError(f"{self._key}: the link {name} leads out of the source, to {target}")
            return f"link:{hashlib.sha256(os.fsencode(target)).hexdigest()}"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return f"{'program' if mode & 0o100 else 'file'}:{digest}"

    def files(self) -> dict[str, str]:
        return self._files

    def read(self, name: str) -> str:
        path = self.root / name
        return path.read_text(errors="replace") if path.is_file() else ""

    def pack(self, target: Path) -> list[str]:
        with tarfile.open(target, "w:gz", compresslevel=6) as archive:
            for name in self.names:
                info = archive.gettarinfo(self.root / name, name)
                if info.issym():
                    archive.addfile(info)
                    continue
                # Two names of one file are two files: what one release does to its own must not depend on that.
                info.type, info.linkname, info.size = tarfile.REGTYPE, "", (self.root / name).stat().st_size
                with (self.root / name).open("rb") as file:
                    archive.addfile(info, file)
        return [
            f"{self._key}: the submodule {name} is not checked out and stays behind: git submodule update --init"
            for name in self._missing
        ] + pointers(self._key, target)

    def _tracked(self, root: Path) -> list[str]:
        """The files that git tracks or would track; empty outside a checkout."""
        listed = self._git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard") or ""
        names: list[str] = []
        for name in set(listed.split("\0")) - {""}:
            path = root / name
            if path.is_dir() and not path.is_symlink():
                # A repository inside the repository, be it a submodule or a clone that nobody added.
                if os.path.lexists(path / ".git"):
                    names += [f"{name.rstrip('/')}/{inner}" for inner in self._tracked(path)]
                else:
                    self._missing.append(name)
            # A tracked file that was deleted is still listed.
            elif os.path.lexists(path):
                names.append(name)
        return names

    def _revision(self) -> str | None:
        if self._git(self.root, "status", "--porcelain", "--", ".") != "":
            return None
        return (self._git(self.root, "rev-parse", "HEAD") or "").strip() or None

    def _git(self, root: Path, *arguments: str) -> str | None:
        """What git prints; None where there is no checkout, or nothing yet in it.

        Raises:
            SourceError: there is one, but git will not read it. To guess what belongs to it might publish a secret.
        """
        try:
            result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, env=environment())
        except FileNotFoundError:
            if any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents)):
                raise SourceError(
                    f"{self._key}: {root} is a git checkout, and git is not installed on this machine to say what "
                    "belongs to it"
                ) from None
            return None
        if result.returncode:
            said = result.stderr.decode(errors="replace").strip()
            if "not a git repository (or any" in said or arguments[0] == "rev-parse":
                return None
            raise SourceError(f"{self._key}: git cannot read {root}. git says:\n{said}")
        return result.stdout.decode(errors="surrogateescape")


def _walk(root: Path) -> list[str]:
    names: list[str] = []
    for directory, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _NEVER]
        paths = [Path(directory) / name for name in (*files, *folders) if name not in _NEVER]
        # Sockets and the like belong to what runs here, and would be waited for without end.
        names += [
            str(path.relative_to(root))
            for path in paths
            if path.is_symlink() or (path.is_file() and path.suffix != ".pyc")
        ]
    return sorted(names)
