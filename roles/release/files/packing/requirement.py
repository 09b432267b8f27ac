"""An app that is a package: nothing but a requirement and the lock that pins it."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from pathlib import Path

from packing.source import SourceError


class Requirement:
    """A pinned package, such as `ihatemoney==7.2.1`.

    Args:
        key: the user's key, for messages.
        requirement: the package and its version.
        lock: the dependency lock on the controller; it must hold that very version, and the server's package.
    """

    def __init__(self, key: str, requirement: str, lock: Path) -> None:
        if not lock.is_file():
            raise SourceError(
                f"{key}.pip: there is no lock at {lock} (apps.….requirements names it). Make one with: "
                f"printf '{requirement}\\ngunicorn\\n' | uv pip compile --universal --generate-hashes - -o {lock}"
            )
        self._lock = lock.read_bytes()
        if _normal(requirement) not in {
            _normal(pin) for pin in re.findall(r"^([\w.-]+==[^\s;\\]+)", lock.read_text(), re.MULTILINE)
        }:
            raise SourceError(f"{key}.pip: the lock {lock} does not pin {requirement}; make it anew")
        self.digest = f"pip:{requirement}:{hashlib.sha256(self._lock).hexdigest()}"
        self.revision: str | None = requirement.partition("==")[2]

    def files(self) -> dict[str, str]:
        return {"requirements.txt": hashlib.sha256(self._lock).hexdigest()}

    def read(self, name: str) -> str:
        return self._lock.decode() if name == "requirements.txt" else ""

    def pack(self, target: Path) -> list[str]:
        with tarfile.open(target, "w:gz") as archive:
            info = tarfile.TarInfo("requirements.txt")
            info.size = len(self._lock)
            archive.addfile(info, io.BytesIO(self._lock))
        return []


def _normal(pin: str) -> str:
    name, _, version = pin.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name.partition('[')[0]).lower()}=={version}"
