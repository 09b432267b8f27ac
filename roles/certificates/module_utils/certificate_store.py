"""Where an app's certificate and key stand on the host, and how another pair takes their place in one step.

    /etc/ssl/slipway/shop/
      fullchain.pem -> current/fullchain.pem
      privkey.pem -> current/privkey.pem
      current -> acme-20261123T040000Z         THE switch: both files at once
      acme-20261123T040000Z/                   whatever its origin, a pair is a directory and never changes

Standard library only. Everything is on the disk before the rename that makes it count.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

CERTIFICATE, KEY, ORIGIN = "fullchain.pem", "privkey.pem", "origin"


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fchmod(descriptor, mode)
        stream.flush()
        os.fsync(descriptor)


def _link(path: Path, target: str) -> None:
    """Have `path` lead to `target`, whatever stood there, without a moment in between."""
    if path.is_symlink() and os.readlink(path) == target:  # noqa: PTH115 - a text, as it stands in the link
        return
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.rename(path)


class Store:
    """The pairs of one app.

    Args:
        root: holds one directory an app.
        app: its name.
    """

    def __init__(self, root: Path, app: str) -> None:
        self.path = root / app

    @property
    def certificate(self) -> Path:
        return self.path / CERTIFICATE

    @property
    def key(self) -> Path:
        return self.path / KEY

    def serving(self) -> str:
        """The name of the pair that is served; empty where there is none."""
        current = self.path / "current"
        linked = [(self.path / name).is_symlink() for name in (CERTIFICATE, KEY)]
        return current.readlink().name if current.is_symlink() and all(linked) else ""

    def origin(self) -> str:
        """Who gave the pair that is served, as `put` was told; empty where that is not known."""
        path = self.path / "current" / ORIGIN
        return path.read_text().strip() if path.exists() else ""

    def private(self) -> bool:
        """Whether nobody but its owner can read the key that is served."""
        return self.key.exists() and not self.key.stat().st_mode & 0o077

    def put(self, name: str, certificate: bytes, key: bytes, origin: str) -> None:
        """Serve this pair from now on."""
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.path.chmod(0o755)
        with tempfile.TemporaryDirectory(dir=self.path, prefix=".") as temporary:
            made = Path(temporary) / name
            made.mkdir()
            _write(made / KEY, key, 0o600)
            _write(made / CERTIFICATE, certificate, 0o644)
            _write(made / ORIGIN, f"{origin}\n".encode(), 0o644)
            made.chmod(0o755)
            _sync(made)
            made.rename(self.path / name)
        _sync(self.path)
        self.switch(name)

    def switch(self, name: str) -> None:
        """Serve the pair of that name."""
        _link(self.path / "current", name)
        for file in (KEY, CERTIFICATE):
            _link(self.path / file, f"current/{file}")
        _sync(self.path)

    def prune(self) -> None:
        """Forget every pair but the one that is served."""
        kept = {"current", CERTIFICATE, KEY, self.serving()}
        for path in self.path.iterdir():
            if path.name in kept:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
