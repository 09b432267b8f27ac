"""A backup, brought back beside what serves: nothing that visitors see is touched."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from slipway import durable, faults, process, room
from slipway.data import fingerprint, manifest, sqlite
from slipway.data.backup import server_of
from slipway.data.config import MARGIN
from slipway.data.fingerprint import Fingerprint
from slipway.data.manifest import Manifest, Part
from slipway.data.postgresql import Server
from slipway.data.repository import Backup, Repository
from slipway.errors import SlipwayError
from slipway.layout import Layout
from slipway.spec import Spec


@dataclass(frozen=True)
class Trial:
    """A backup that is to be brought back.

    Args:
        layout: the app.
        spec: what serves, or would.
        repository: where the backup is.
        backup: which one.
        directory: where it is brought to; made, and taken away again.
        suffix: what the databases of the trial are called, after the app's own.
    """

    layout: Layout
    spec: Spec
    repository: Repository
    backup: Backup
    directory: Path
    suffix: str

    @property
    def tree(self) -> Path:
        """The app's files, as they were, or only its databases."""
        return self.directory / "shared"

    @property
    def database(self) -> str:
        """The name of the database that is filled."""
        return f"{self.spec.database.name}.{self.suffix}"

    @property
    def server(self) -> Server:
        return server_of(self.layout, self.spec, self.layout.current_id() or "")

    def manifest(self, *, even_empty: bool = False) -> Manifest:
        """What the backup says of itself.

        Args:
            even_empty: whether databases without a single table are what somebody wants back.

        Raises:
            SlipwayError: it is not whole, is another app's, or does not fit the app as it is now.
        """
        staging = next((path for path in self.backup.paths if path.endswith("/staging")), "")
        found = manifest.parse(self.repository.read(self.backup, Path(staging) / manifest.NAME))
        if found.app != self.layout.app:
            raise SlipwayError(f"Backup {self.backup.id} is one of {found.app} and not of {self.layout.app}.")
        if not found.parts and not found.files:
            raise SlipwayError(f"Backup {self.backup} is empty: it holds no database and no file.")
        if found.parts and not any(part.fingerprint.tables for part in found.parts) and not even_empty:
            raise SlipwayError(
                f"Backup {self.backup} is empty: no database in it has a table.",
                hint="See which there are, and take an older one: slipway backups. Or name this one, if it is right.",
            )
        kinds = {part.kind for part in found.parts}
        if ("postgresql" in kinds) != (self.spec.database.kind == "postgresql"):
            has = "a database of PostgreSQL" if "postgresql" in kinds else "no database of PostgreSQL"
            raise SlipwayError(
                f"Backup {self.backup.id} has {has}; {self.layout.app} keeps its data in {self.spec.database.kind}.",
                hint="Deploy the app with the database that it had then (apps.….database), and restore after that.",
            )
        return found

    def check_space(self, found: Manifest, *, files: bool) -> None:
        """See that there is room for all of it beside what is there.

        Raises:
            SlipwayError: there is not.
        """
        parent = self.directory.parent
        needed = sum(part.bytes for part in found.parts) + (found.shared_bytes if files else 0)
        server = sum(part.size for part in found.parts if part.kind == "postgresql")
        what = f"bringing back backup {self.backup} needs"
        why = "Free some room: it is put beside what is there, never in its place. Nothing was begun."
        places = {os.stat(parent).st_dev: (parent, needed)}
        if server and (host := self.spec.database.host):
            room.compare(self.server.free(), _with_margin(server), what, hint=why, shown=f"the databases of {host}")
        elif server:
            data = self.server.directory()
            device = os.stat(data).st_dev
            places[device] = (data, server + (places[device][1] if device in places else 0))
        for path, size in places.values():
            room.require(path, _with_margin(size), what, hint=why)

    def bring_back(self, found: Manifest, *, files: bool) -> list[tuple[Part, Fingerprint]]:
        """Restore the databases, and the files if wanted, and see that each database is what it was.

        Raises:
            SlipwayError: any of it is not; with what differs.
        """
        self.clear()
        # Nobody but root gets in before all of it is in its place, and what is the app's is the app's.
        self.directory.mkdir(mode=0o700)
        dumps = self.repository.fetch(self.backup, Path(found.staging), self.directory / "dumps")
        faults.point("trial:dumps")
        self._files(found, wanted=files)
        faults.point("trial:files")
        for part in found.parts:
            self._check_dump(part, dumps / part.dump)
        digests = {
            part.name: self._place(found, part, dumps / part.dump) for part in found.parts if part.kind == "sqlite"
        }
        self.directory.chmod(0o711)
        results = [
            (
                part,
                self._look(part, digests[part.name]) if part.kind == "sqlite" else self._fill(part, dumps / part.dump),
            )
            for part in found.parts
        ]
        shutil.rmtree(self.directory / "dumps")
        for part, now in results:
            if lines := fingerprint.differences(part.fingerprint, now):
                raise SlipwayError(f"What backup {self.backup} gave back as {part} is not what it was.", log=lines[:12])
        durable.sync_tree(self.directory)
        return results

    def _files(self, found: Manifest, *, wanted: bool) -> None:
        if wanted:
            self.repository.fetch(self.backup, Path(found.shared), self.directory / "files").rename(self.tree)
            shutil.rmtree(self.directory / "files")
            self._give(found)
        else:
            self.tree.mkdir(mode=0o700)
            process.give(self.layout.app, self.tree)

    def _give(self, found: Manifest) -> None:
        """Files of the app's user belong to it, whatever number it had where the backup was taken."""
        if os.geteuid() != 0:
            return
        uid, gid = process.user_id(self.layout.app), process.group_id(self.layout.app)
        for path in (self.tree, *self.tree.rglob("*")):
            about = path.lstat()
            os.chown(
                path,
                uid if about.st_uid == found.uid else -1,
                gid if about.st_gid == found.gid else -1,
                follow_symlinks=False,
            )

    def _check_dump(self, part: Part, dump: Path) -> None:
        if not dump.is_file() or dump.is_symlink():
            raise SlipwayError(f"Backup {self.backup} is not whole: it lacks the copy of {part}.")
        size = dump.stat().st_size
        if size == 0:
            raise SlipwayError(f"Backup {self.backup} is empty: the copy of {part} has no content.")
        if size < part.bytes:
            raise SlipwayError(
                f"Backup {self.backup} is cut off: the copy of {part} has {size} of its {part.bytes} bytes."
            )

    def _fill(self, part: Part, dump: Path) -> Fingerprint:
        """Restore a dump of PostgreSQL into a database of its own."""
        server = self.server
        server.create(self.database)
        server.restore(dump, self.database, part.extensions)
        return server.fingerprint(self.database)

    def _place(self, found: Manifest, part: Part, dump: Path) -> str:
        """Put a SQLite database where the app's files are; returns its SHA-256."""
        target = self.tree / part.name
        target.parent.mkdir(parents=True, exist_ok=True)
        # A directory that was a link by the time the files were read would lead root elsewhere.
        if target.parent.resolve() != self.tree.resolve() / Path(part.name).parent or target.is_dir():
            raise SlipwayError(f"Backup {self.backup} has no place for the copy of {part}.")
        with dump.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.rename(dump, target)
        target.chmod(0o640)
        self._own(target, found)
        return digest

    def _look(self, part: Part, digest: str) -> Fingerprint:
        return replace(sqlite.inspect(self.layout.app, self.tree / part.name), content={"file": digest})

    def _own(self, target: Path, found: Manifest) -> None:
        if os.geteuid() == 0:
            uid, gid = process.user_id(self.layout.app), process.group_id(self.layout.app)
            os.chown(target, uid, gid)
            # Directories that held nothing but a database.
            for parent in target.relative_to(self.tree).parents:
                about = (self.tree / parent).stat()
                if about.st_uid in {0, found.uid}:
                    os.chown(self.tree / parent, uid, gid)

    def live(self, part: Part) -> Fingerprint | None:
        """The database as it is now; None where it is not there."""
        if part.kind == "postgresql":
            return (
                self.server.fingerprint(self.spec.database.name)
                if self.server.exists(self.spec.database.name)
                else None
            )
        path = self.layout.shared / part.name
        if not path.is_file():
            return None
        # A copy, since somebody is writing to it.
        copies = self.directory / "live"
        shutil.rmtree(copies, ignore_errors=True)
        copies.mkdir(mode=0o700)
        process.give(self.layout.app, copies)
        try:
            return sqlite.copy(self.layout.app, path, copies / "copy.db")
        finally:
            shutil.rmtree(copies)

    def clear(self) -> None:
        """Take away what this trial, or one that died, has made; never anything of the app's own."""
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.spec.database.kind == "postgresql":
            self.server.drop(self.database)

    def alone(self, wait: float) -> contextlib.AbstractContextManager[None]:
        """Have the trial's database to this host while a block runs, where others share the server.

        Args:
            wait: seconds to wait for another host.

        Raises:
            SlipwayError: it still has it then.
        """
        return self.server.alone(self.database, wait)

    @contextlib.contextmanager
    def cleared(self, *, after: bool = True) -> Iterator[None]:
        """Clear when the block fails, and `after` it where nobody needs what it has brought back."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(SlipwayError):
                self.clear()
            raise
        if after:
            self.clear()


def _with_margin(size: int) -> int:
    return size + size // 10 + MARGIN
