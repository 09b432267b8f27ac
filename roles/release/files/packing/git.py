"""A commit of a git repository, fetched on the controller.

The hosts need neither git nor a key, and each commit is fetched once, whatever the number of hosts.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from packing.command import Remote
from packing.source import SourceError, pointers

_COMMIT = re.compile(r"[0-9a-f]{40}")
_UNUSED = 24 * 60 * 60  # seconds after which a fetched commit goes


class Checkout:
    """One commit.

    Args:
        key: the user's key, for messages.
        source: `git` (URL) and `version` (branch, tag or commit), and if need be `path` (a directory inside), `key`
            (a private SSH key's text) and `host_key` (the server's public key).
        cache: a directory for the commits that were fetched.
    """

    def __init__(self, key: str, source: dict[str, Any], *, cache: Path) -> None:
        self._key, self._url, self._version = key, str(source["git"]), str(source["version"])
        self._directory = posixpath.normpath(str(source.get("path") or ".")).strip("/")
        if self._directory.split("/")[0] == "..":
            raise SourceError(f"{key}.path: must be a directory inside the repository")
        self._remote = Remote(key, self._url, str(source.get("key") or ""), str(source.get("host_key") or ""))
        self._cache = cache
        self.revision: str | None = self._resolve()
        self.digest = f"git:{self.revision}:{'' if self._directory == '.' else self._directory}"

    def _resolve(self) -> str:
        if _COMMIT.fullmatch(self._version):
            return self._version
        listed = self._remote.git("ls-remote", "--", self._url, self._version, f"refs/tags/{self._version}^{{}}")
        commits = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
        for name in (f"refs/tags/{self._version}^{{}}", f"refs/tags/{self._version}", f"refs/heads/{self._version}"):
            if name in commits:
                return commits[name]
        short = "; a commit needs all of its 40 digits" if re.fullmatch(r"[0-9a-f]{7,39}", self._version) else ""
        raise SourceError(f"{self._key}.version: {self._url} has no branch or tag {self._version}{short}")

    def _fetch(self) -> Path:
        """A repository with this commit alone; made elsewhere and renamed, so that one that is there is whole."""
        name = hashlib.sha256(self._url.encode()).hexdigest()[:16]
        repository = self._cache / f"{name}-{self.revision}"
        if not repository.exists():
            self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._forget()
            with tempfile.TemporaryDirectory(dir=self._cache) as work:
                made = Path(work) / "repository"
                self._fill(made)
                try:
                    made.rename(repository)
                except OSError:
                    # Another deploy on this machine has just fetched the same.
                    if not repository.exists():
                        raise
        os.utime(repository)
        return repository

    def _fill(self, repository: Path) -> None:
        self._remote.git("init", "--quiet", "--bare", str(repository))
        fetch = ["-C", str(repository), "fetch", "--quiet", "--no-tags"]
        try:
            self._remote.git(*fetch, "--depth=1", "--", self._url, str(self.revision))
        except SourceError as error:
            if "unadvertised object" not in str(error):
                raise
            # A server of the old kind hands out what branches and tags lead to, and by their names.
            self._remote.git(*fetch, "--", self._url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            try:
                self._remote.git("-C", str(repository), "cat-file", "-e", f"{self.revision}^{{commit}}")
            except SourceError:
                raise SourceError(f"{self._key}.version: {self._url} has no commit {self.revision}") from None

    def _forget(self) -> None:
        """Old commits, and what a fetch that was killed has left."""
        for path in self._cache.iterdir():
            if time.time() - path.stat().st_mtime > _UNUSED:
                shutil.rmtree(path, ignore_errors=True)

    def _tree(self, repository: Path) -> str:
        """What git calls the directory."""
        if self._directory == ".":
            return f"{self.revision}:"
        kind = self._remote.git("-C", str(repository), "ls-tree", str(self.revision), "--", self._directory)
        if not kind.startswith("040000"):
            raise SourceError(f"{self._key}.path: {self._url} has no directory {self._directory} at {self._version}")
        return f"{self.revision}:{self._directory}/"

    def _entries(self) -> dict[str, str]:
        repository = self._fetch()
        listing = self._remote.git("-C", str(repository), "ls-tree", "-r", "-z", self._tree(repository))
        return {name: about for about, _, name in (entry.partition("\t") for entry in listing.split("\0") if entry)}

    def files(self) -> dict[str, str]:
        return self._entries()

    def read(self, name: str) -> str:
        if name not in self._entries():
            return ""
        repository = self._fetch()
        return self._remote.git("-C", str(repository), "show", f"{self._tree(repository)}{name}")

    def pack(self, target: Path) -> list[str]:
        repository = self._fetch()
        tree = self._tree(repository)
        self._remote.git("-C", str(repository), "archive", "--format=tar.gz", f"--output={target}", tree)
        submodules = sorted(name for name, about in self._entries().items() if about.startswith("160000"))
        warnings = [f"{self._key}.git: the submodule {name} does not come along" for name in submodules]
        return warnings + pointers(f"{self._key}.git", target)
