"""What a backup says of itself: the file in it that is written last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from slipway.data import fingerprint
from slipway.data.fingerprint import Fingerprint
from slipway.errors import SlipwayError

NAME = "manifest.json"
_VERSION = 1


@dataclass(frozen=True)
class Part:
    """One database of a backup.

    Args:
        kind: `sqlite` or `postgresql`.
        name: the file in `shared/`, or the database's name.
        dump: where its copy is, relative to the backup.
        bytes: of the copy.
        size: bytes that the database itself takes.
        fingerprint: what it held.
        extensions: those of PostgreSQL that it uses.
    """

    kind: str
    name: str
    dump: str
    bytes: int
    size: int
    fingerprint: Fingerprint
    extensions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"the database {self.name}"


@dataclass(frozen=True)
class Manifest:
    """All that a restore has to know.

    Args:
        app: whose backup it is.
        at: when its databases were copied.
        kind: why it was taken.
        release: the release that served.
        before: the release that was about to be deployed; empty for none.
        staging: the directory that the backup holds the copies in.
        shared: the directory of the app's files.
        files: how many files it had beside the databases.
        shared_bytes: of those files.
        uid: of the app's user.
        gid: of its group.
        parts: the databases.
    """

    app: str
    at: datetime
    kind: str
    release: str
    before: str
    staging: str
    shared: str
    files: int
    shared_bytes: int
    uid: int
    gid: int
    parts: tuple[Part, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """The migrations of its databases."""
        return tuple(sorted({head for part in self.parts for head in part.fingerprint.heads}))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it that anyone could miss."""
        return not self.files and not any(part.fingerprint.tables for part in self.parts)

    @property
    def size(self) -> int:
        """Bytes of all that it holds."""
        return self.shared_bytes + sum(part.bytes for part in self.parts)

    def dump(self) -> bytes:
        data = asdict(self) | {"version": _VERSION, "at": self.at.isoformat()}
        data["parts"] = [asdict(part) | {"fingerprint": part.fingerprint.public()} for part in self.parts]
        return json.dumps(data, indent=2, sort_keys=True).encode() + b"\n"


def parse(content: bytes) -> Manifest:
    """Read back what `Manifest.dump` gave.

    Raises:
        SlipwayError: it is not whole, or a newer version wrote it.
    """
    try:
        data: dict[str, Any] = json.loads(content)
        if data.pop("version") != _VERSION:
            raise SlipwayError("The backup was taken by another version of Slipway, which writes it in another form.")
        return Manifest(**data | {"at": datetime.fromisoformat(data["at"]), "parts": tuple(map(_part, data["parts"]))})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SlipwayError(f"The backup is not whole: its {NAME} cannot be read ({error}).") from None


def _part(data: dict[str, Any]) -> Part:
    found = fingerprint.parse(data["fingerprint"])
    return Part(**data | {"fingerprint": found, "extensions": tuple(data["extensions"])})
