"""A commit of a git repository, fetched on the controller.

The hosts need neither git nor a key, and each commit is fetched once, whatever the number of hosts.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packing.source import SourceError

# git can be talked into running commands by some of its transports.
PROTOCOLS = "https:ssh"
_TIMEOUT = 300
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Checkout:
    """One commit.

    Args:
        key: the user's key, for messages.
        source: `git` (URL) and `version` (branch, tag or commit), and if need be `path` (a directory inside) and `key`
            (a private SSH key's text).
        cache: a directory for the objects that were fetched.
    """

    def __init__(self, key: str, source: dict[str, Any], *, cache: Path) -> None:
        self._key, self._url, self._version = key, str(source["git"]), str(source["version"])
        self._directory = str(source.get("path") or "")
        self._secret = str(source.get("key") or "")
        self._repository = cache / hashlib.sha256(self._url.encode()).hexdigest()[:16]
        self.revision: str | None = self._resolve()
        self.digest = f"git:{self.revision}:{self._directory}"

    def _resolve(self) -> str:
        if _COMMIT.fullmatch(self._version):
            return self._version
        with self._environment() as environment:
            wanted = [self._version, f"refs/tags/{self._version}^{{}}"]
            listed = self._git(["ls-remote", "--", self._url, *wanted], environment)
        commits = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
        for name in (f"refs/tags/{self._version}^{{}}", f"refs/tags/{self._version}", f"refs/heads/{self._version}"):
            if name in commits:
                return commits[name]
        raise SourceError(f"{self._key}.version: {self._url} has no branch, tag or commit {self._version}")

    def _fetch(self) -> None:
        commit = f"{self.revision}^{{commit}}"
        with self._environment() as environment:
            if not self._repository.exists():
                self._repository.mkdir(parents=True, mode=0o700)
                self._git(["init", "--quiet", "--bare", str(self._repository)], environment)
            known = ["git", "-C", str(self._repository), "cat-file", "-e", commit]
            if subprocess.run(known, capture_output=True).returncode:
                fetch = ["-C", str(self._repository), "fetch", "--quiet", "--depth=1", "--", self._url]
                self._git([*fetch, str(self.revision)], environment)

    def files(self) -> dict[str, str]:
        self._fetch()
        with self._environment() as environment:
            listing = self._git(["-C", str(self._repository), "ls-tree", "-r", self._tree()], environment)
        entries = (line.partition("\t") for line in listing.splitlines())
        return {name: about for about, _, name in entries}

    def read(self, name: str) -> str:
        if name not in self.files():
            return ""
        with self._environment() as environment:
            blob = f"{self.revision}:{self._directory}/{name}" if self._directory else f"{self.revision}:{name}"
            return self._git(["-C", str(self._repository), "show", blob], environment)

    def pack(self, target: Path) -> None:
        self._fetch()
        with self._environment() as environment:
            archive = ["-C", str(self._repository), "archive", "--format=tar.gz", f"--output={target}"]
            self._git([*archive, self._tree()], environment)

    def _tree(self) -> str:
        return f"{self.revision}:{self._directory}" if self._directory else str(self.revision)

    def _git(self, arguments: list[str], environment: dict[str, str]) -> str:
        try:
            result = subprocess.run(
                ["git", *arguments], capture_output=True, text=True, env=environment, timeout=_TIMEOUT
            )
        except FileNotFoundError:
            raise SourceError(f"{self._key}.git: git is not installed on this machine") from None
        except subprocess.TimeoutExpired:
            raise SourceError(f"{self._key}.git: {self._url} did not answer within {_TIMEOUT} s") from None
        if result.returncode:
            said = "\n".join(result.stderr.strip().splitlines()[-5:])
            raise SourceError(f"{self._key}.git: {self._url} cannot be read. git says:\n{said}")
        return result.stdout

    @contextlib.contextmanager
    def _environment(self) -> Iterator[dict[str, str]]:
        """git's environment; the deploy key is in a file only while git runs, in memory where there is such a place."""
        environment = {**os.environ, "GIT_ALLOW_PROTOCOL": PROTOCOLS, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        ssh = "ssh -o BatchMode=yes"
        with contextlib.ExitStack() as stack:
            if self._secret:
                memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - readable by its owner only
                file = stack.enter_context(tempfile.NamedTemporaryFile("w", dir=memory))
                file.write(self._secret.rstrip("\n") + "\n")
                file.flush()
                ssh += f" -o IdentitiesOnly=yes -i {shlex.quote(file.name)}"
            yield {**environment, "GIT_SSH_COMMAND": ssh}
