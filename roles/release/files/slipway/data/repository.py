"""The place where backups are kept, by way of restic; no option newer than restic 0.14, which Debian 12 has."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway import durable, room
from slipway.data.config import MARGIN, Config, state
from slipway.errors import BUSY, FAILED, SlipwayError

_RETRY = 5.0
_LOCKED = re.compile(r"already locked|unable to create lock")
_PASSWORD = re.compile(r"wrong password or no key found")
_MISSING = re.compile(r"Is there a repository at|repository does not exist|unable to open config file")
_NO_MATCH = re.compile(r"no matching ID|no snapshot found|not found in snapshot")
_FULL = re.compile(r"no space left on device|quota exceeded|StorageFull", re.IGNORECASE)
_NO_SFTP = re.compile(r"unable to start the sftp session", re.IGNORECASE)
_GONE = re.compile(r"no such file or directory")


@dataclass(frozen=True)
class Backup:
    """One backup, as the repository lists it.

    Args:
        id: what to call it.
        at: when its databases were copied.
        tags: what was noted of it: `app`, `kind`, `release`, `before`, `heads`, `bytes`.
        paths: the directories that it holds.
    """

    id: str
    at: datetime
    tags: dict[str, str]
    paths: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.tags.get("kind", "")

    def __str__(self) -> str:
        return f"{self.id} of {local(self.at)}"


def local(at: datetime) -> str:
    """A time as this host's clock shows it, with its zone."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


class Repository:
    """A restic repository.

    Args:
        config: where it is and how to open it.
    """

    def __init__(self, config: Config) -> None:
        self._config = config

    # -- what is asked of it

    def save(self, paths: Sequence[Path], excluded: Sequence[str], tags: dict[str, str], at: datetime) -> Backup:
        """Store directories as one backup: it is there whole or not at all.

        Args:
            paths: the directories.
            excluded: paths below them that stay out.
            tags: what to note of it.
            at: the moment that it shows.

        Raises:
            SlipwayError: it was not stored; nothing incomplete stays behind.
        """
        self._check_space(int(tags.get("bytes", 0)))
        words = ["backup", "--json", "--quiet", "--host", self._config.host]
        words += ["--time", at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")]
        words += ["--tag", ",".join(f"{key}={value}" for key, value in tags.items() if value)]
        for path in excluded:
            words += ["--exclude", re.sub(r"([\\*?\[])", r"\\\1", path)]
        self._adopt()
        done = self._attempt([*words, "--", *map(str, paths)])
        summary = _summary(done.stdout)
        if done.returncode not in {0, 3} or summary is None:
            raise self._error(done)
        if done.returncode == 3 and (unread := _unread(done.stdout + done.stderr)):
            self._run(["forget", summary["snapshot_id"]])
            raise SlipwayError("Some files could not be read, so there is no backup.", log=unread)
        return Backup(str(summary["snapshot_id"])[:8], at, tags, tuple(map(str, paths)))

    def backups(self, app: str | None = None) -> list[Backup]:
        """The backups of this host, or those of one app, oldest first."""
        words = ["snapshots", "--json", "--host", self._config.host]
        found = json.loads(self._run([*words, *(["--tag", f"app={app}"] if app else [])]).stdout or "[]")
        return sorted((_parse(item) for item in found or [] if _is_ours(item)), key=lambda backup: backup.at)

    def read(self, backup: Backup, path: Path) -> bytes:
        """One file of a backup."""
        return self._run(["dump", backup.id, str(path)]).stdout.encode()

    def fetch(self, backup: Backup, path: Path, target: Path) -> Path:
        """Bring one directory of a backup back, below `target`; returns where it is then."""
        self._run(["restore", backup.id, "--target", str(target), "--include", str(path)])
        found = target / path.relative_to("/")
        if not found.is_dir():
            raise SlipwayError(f"Backup {backup} is not whole: it lacks {path}.")
        return found

    def retire(self, app: str, keep: dict[str, int], kept_tags: Sequence[str]) -> int:
        """Forget the backups of an app that nobody is to need any more; how many those were."""
        words = ["forget", "--json", "--host", self._config.host, "--tag", f"app={app}", "--group-by", ""]
        for period, number in keep.items():
            words += [f"--keep-{period}", str(number)]
        for tag in kept_tags:
            words += ["--keep-tag", tag]
        groups = json.loads(self._run(words).stdout or "[]")
        return sum(len(group.get("remove") or ()) for group in groups or ())

    def prune(self) -> None:
        """Give the room of forgotten backups free."""
        self._run(["prune", "--quiet"])

    def check(self) -> None:
        """Look whether the repository is whole, and read part of it back.

        Raises:
            SlipwayError: it is damaged; with what restic says.
        """
        done = self._attempt(["check", f"--read-data-subset={self._config.check_part}%"])
        if done.returncode:
            raise self._error(done, "The repository is damaged.")

    # -- the repository as such

    def _adopt(self) -> None:
        """Make the repository where there has never been one; never where there was."""
        note = state() / "repository.json"
        known = json.loads(note.read_text()) if note.exists() else {}
        if known.get("repository") == self.shown:
            return
        done = self._attempt(["cat", "config", "--quiet"])
        if done.returncode and _MISSING.search(done.stderr):
            if self._config.directory:
                self._config.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._run(["init", "--quiet"])
        elif done.returncode:
            raise self._error(done)
        note.parent.mkdir(parents=True, exist_ok=True)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        durable.write_file(note, json.dumps({"repository": self.shown, "since": since}).encode() + b"\n")

    @property
    def shown(self) -> str:
        """Where it is, without a password that stands in the URL."""
        return re.sub(r"(//[^/:@]*):[^/@]*@", r"\1:***@", self._config.repository)

    def _check_space(self, size: int) -> None:
        """See that a repository on this host has room for what is new.

        How much that is, nobody knows before: all of it the first time, a part of it from then on.
        """
        directory = self._config.directory
        if directory is None:
            return
        while not directory.exists():
            directory = directory.parent
        stored = self._config.directory is not None and (self._config.directory / "config").exists()
        needed = MARGIN + (size // 4 if stored else size)
        keep = "Free some room, keep fewer backups (backup_keep_…), or have the repository elsewhere."
        room.require(directory, needed, "this backup may need", hint=keep, shown=f"the repository {self.shown}")

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        done = self._attempt(words)
        if done.returncode:
            raise self._error(done)
        return done

    def _attempt(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run restic; where somebody else has locked the repository, wait for him."""
        deadline = time.monotonic() + self._config.wait
        while True:
            done = self._restic(words)
            if not done.returncode or not _LOCKED.search(done.stderr):
                return done
            # Takes away what a dead process has left, and nothing else.
            self._restic(["unlock", "--quiet"])
            if time.monotonic() > deadline:
                return done
            time.sleep(_RETRY)

    def _restic(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        variables = {
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TZ": "UTC",
            **self._config.environment(),
            "RESTIC_REPOSITORY": self._config.repository,
            "RESTIC_PASSWORD_FILE": self._config.password_file,
            "RESTIC_CACHE_DIR": self._config.cache,
        }
        options = [word for option in self._config.options for word in ("--option", option)]
        try:
            return subprocess.run(
                ["restic", *options, *words], env=variables, capture_output=True, text=True, errors="replace"
            )
        except FileNotFoundError:
            raise SlipwayError(
                "restic is not installed on this host.", hint="Run the whole site.yml once: it installs it."
            ) from None

    def _error(self, done: subprocess.CompletedProcess[str], why: str = "") -> SlipwayError:
        """What restic said, in plain words."""
        said = done.stderr.strip() or done.stdout.strip()
        shown, hint, code = self.shown, "", FAILED
        if done.returncode == 12 or _PASSWORD.search(said):
            why = f"The password does not open the repository {shown}."
            hint = "Is vault_backup_password the one that the repository was made with? Then run site.yml."
        elif done.returncode == 11 or _LOCKED.search(said):
            why, code = f"The repository {shown} is locked by somebody else.", BUSY
            hint = f"Waited {self._config.wait:g} s for it. Who that is, stands above."
        elif done.returncode == 10 or _MISSING.search(said):
            why = f"There is no repository at {shown}."
            hint = (
                "Is backup_repository right, and is what it is on mounted and reachable? A new one is made only where "
            )
            hint += "this host has never backed up to that place."
        elif _NO_MATCH.search(said):
            why = "The backup is not in the repository, or lacks what every backup has."
        elif _FULL.search(said):
            why = f"There is no room left for the repository {shown}."
        elif _NO_SFTP.search(said):
            # What ssh itself says is above it only where it came in time: restic does not wait for it.
            why = f"ssh does not get into {shown}."
            hint = "Is backup_ssh_host_key the server's key, as ssh-keyscan prints it? Does the account there know the "
            hint += "public half of vault_backup_ssh_key?"
        why = why or f"The repository {shown} cannot be used: restic ended with exit code {done.returncode}."
        return SlipwayError(why, hint=hint, log=said.splitlines()[-12:], code=code)


def _summary(output: str) -> dict[str, Any] | None:
    for line in reversed(output.splitlines()):
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if data.get("message_type") == "summary":
            return dict(data)
    return None


def _unread(output: str) -> list[str]:
    """What restic could not read; a file that went while it looked is none of it."""
    lines = [line for line in output.splitlines() if "error" in line.lower()]
    return [line[:500] for line in lines if not _GONE.search(line)][:12]


def _tags(item: dict[str, Any]) -> dict[str, str]:
    return dict(tag.split("=", 1) for tag in item.get("tags") or () if "=" in tag)


def _is_ours(item: dict[str, Any]) -> bool:
    return {"app", "kind"} <= _tags(item).keys()


def _parse(item: dict[str, Any]) -> Backup:
    # restic writes nanoseconds, which Python does not read.
    at = datetime.fromisoformat(re.sub(r"\.\d+", "", item["time"]))
    return Backup(str(item["id"])[:8], at, _tags(item), tuple(item["paths"]))
