"""A host for the release transaction: its directories are real, its systemd and its app are played."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from slipway import failure, layout, probe, process, transaction, units, venv, workers
from slipway.data import backup, restore
from slipway.data.repository import Repository
from slipway.errors import SlipwayError
from slipway.layout import Layout
from slipway.spec import Health, Settings, Spec

from . import restic


@dataclass
class FakeSystemd:
    """Remembers which instances run, and in which order it was told what."""

    running: set[str] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)

    def start(self, app: str, release: str, *, wait: bool = True) -> None:
        self.calls.append(("start", release))
        if release in self.refuses:
            raise SlipwayError(f"{app}@{release} did not start", log=["boom"])
        self.running.add(release)

    def stop(self, app: str, release: str, *, wait: bool = True) -> None:
        self.calls.append(("stop", release))
        self.running.discard(release)


@dataclass
class Host:
    """One app's host.

    Attributes:
        unhealthy: releases whose own socket gives a bad answer.
        slow: releases of which a worker is still booting.
        broken_front: whether the web server gives a bad answer.
    """

    layout: Layout
    systemd: FakeSystemd
    tmp: Path
    unhealthy: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    broken_front: bool = False

    def spec(self, version: str = "1", **changes: object) -> Spec:
        settings = Settings(content=b'{"SECRET_KEY": "s3cret-value"}')
        spec = Spec(
            "shop", f"digest-{version}", Health("shop.example.com", timeout=0.3), settings=settings, front="x:1"
        )
        return replace(spec, **changes)  # type: ignore[arg-type]

    def archive(self, files: dict[str, str] | None = None) -> Path:
        tree = self.tmp / "tree"
        path = self.tmp / "source.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for name, text in (files or {"app.py": "app = 1\n", "requirements.txt": "flask==3.1.3\n"}).items():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_text(text)
                tar.add(tree / name, name)
        return path

    def current(self) -> str | None:
        return self.layout.current_id()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(layout, "ROOT", tmp_path / "srv")
    shop = Layout("shop")
    for directory in (shop.releases, shop.venvs, shop.shared):
        directory.mkdir(parents=True)
    systemd = FakeSystemd()
    played = Host(shop, systemd, tmp_path)
    monkeypatch.setattr(units, "start", systemd.start)
    monkeypatch.setattr(units, "stop", systemd.stop)
    monkeypatch.setattr(units, "instances", lambda _app: set(systemd.running))
    monkeypatch.setattr(units, "is_machine_stopping", lambda: False)
    monkeypatch.setattr(units, "is_active", lambda _app, release: release in systemd.running)
    monkeypatch.setattr(units, "has_booted", lambda _app, release: release not in played.slow)
    monkeypatch.setattr(units, "crashes", lambda _app, _release: 0)
    monkeypatch.setattr(units, "drain", lambda _layout, release: systemd.calls.append(("drain", release)))
    monkeypatch.setattr(units, "enable_boot", lambda _app: systemd.calls.append(("enable", str(shop.current_id()))))
    monkeypatch.setattr(failure, "explain", _explain)
    monkeypatch.setattr(process, "group_id", lambda _app: os.getegid())
    monkeypatch.setattr(process.Place, "arguments", _as_ourselves)
    monkeypatch.setattr(
        workers, "bring_over", lambda _layout, release, _spec: systemd.calls.append(("workers", release))
    )
    monkeypatch.setattr(workers, "follow", lambda _layout, _spec: None)
    monkeypatch.setattr(workers, "stop", lambda _app: None)
    monkeypatch.setattr(workers, "busy_releases", lambda _layout: set())
    monkeypatch.setattr(venv, "python_tag", lambda python: f"cpython of {python}")
    monkeypatch.setattr(venv, "ensure", _fake_venv)

    def ask_socket(path: Path, _health: Health) -> probe.Ask:
        status = 500 if path.stem in played.unhealthy else 200
        return lambda _left, _crashed: probe.Answer(status, "played")

    def ask_front(_address: str, _health: Health) -> probe.Ask:
        return lambda _left, _crashed: probe.Answer(502 if played.broken_front else 200, "played")

    monkeypatch.setattr(probe, "ask_socket", ask_socket)
    monkeypatch.setattr(probe, "ask_front", ask_front)
    return played


def _explain(error: SlipwayError, _unit: str, **_since: float) -> SlipwayError:
    error.log = ["the app's last words"]
    return error


def _as_ourselves(place: process.Place) -> dict[str, object]:
    return {"env": place.environment, "cwd": place.directory}


def _fake_venv(venvs: Path, *_args: object, **_kwargs: object) -> Path:
    path = venvs / "0123456789ab"
    (path / "bin").mkdir(parents=True, exist_ok=True)
    if not (path / "bin" / "python").exists():
        (path / "bin" / "python").symlink_to(sys.executable)
    return path


@contextlib.contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that is closed afterwards, as one of a process that has ended is."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def count(path: Path) -> int:
    """The rows in one of the shop's databases."""
    with database(path) as connection:
        return int(connection.execute("select count(*) from entry").fetchone()[0])


@dataclass
class Shop:
    """The app with its data.

    Attributes:
        repository: where the backups are.
        database: the app's.
    """

    host: Host
    repository: Path
    database: Path
    config: Path

    def rows(self) -> list[str]:
        with database(self.database) as connection:
            return [row[0] for row in connection.execute("select text from entry order by text")]

    def write(self, *texts: str) -> None:
        with database(self.database) as connection:
            connection.executemany("insert into entry values (?)", [(text,) for text in texts])

    def at(self, revision: str) -> None:
        with database(self.database) as connection:
            connection.execute("update alembic_version set version_num = ?", [revision])

    def deploy(self, version: str = "1", **changes: object) -> str:
        return str(transaction.deploy(self.host.spec(version, **changes), self.host.archive())["release"])

    def backup(self, kind: str = "manual") -> dict[str, Any]:
        return backup.run("shop", kind=kind, actor="me")

    def restore(self, **given: Any) -> dict[str, Any]:
        return restore.run("shop", actor="me", **given)

    def configure(self, **changes: Any) -> None:
        self.config.write_text(json.dumps(json.loads(self.config.read_text()) | changes))

    def status(self) -> dict[str, Any]:
        path = Path(os.environ["SLIPWAY_BACKUP_STATE"]) / "status" / "shop.json"
        return dict(json.loads(path.read_text()))

    def left(self) -> list[str]:
        """What a restore or a backup has left behind that nobody asked it to."""
        work = Path(os.environ["SLIPWAY_BACKUP_STATE"]) / ".work" / "shop"
        found = [path for path in work.glob("*") if path.name != "lock"]
        base = self.host.layout
        found += [path for path in (base.restoring, base.restore, base.transaction) if path.exists()]
        return sorted(map(str, found))


def _played_restic(repository: Repository, words: list[str]) -> Any:
    known = repository._config
    return restic.run(words, repository=Path(known.repository), password=Path(known.password_file).read_text())


@pytest.fixture
def shop(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    (tmp_path / "password").write_text("secret")
    config = tmp_path / "backup.json"
    about = {"repository": str(tmp_path / "repository"), "host": "web1", "wait": 1, "keep": {"last": 2}}
    about |= {"password_file": str(tmp_path / "password"), "credentials_file": str(tmp_path / "credentials")}
    config.write_text(json.dumps(about | {"maintenance": str(tmp_path / "maintenance")}))
    monkeypatch.setenv("SLIPWAY_BACKUP", str(config))
    monkeypatch.setenv("SLIPWAY_BACKUP_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(Repository, "_restic", _played_restic)
    monkeypatch.setattr("slipway.data.repository._RETRY", 0.1)
    monkeypatch.setattr(process, "give", lambda _app, _tree: None)
    monkeypatch.setattr(process, "user_id", lambda _app: os.geteuid())
    monkeypatch.setattr(workers, "pause_timers", lambda _app: None)
    path = layout.Layout("shop").shared / "shop.db"
    with database(path) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table entry (text)")
        connection.execute("create table alembic_version (version_num)")
        connection.execute("insert into alembic_version values ('0001')")
    (path.parent / "upload.txt").write_text("mine")
    found = Shop(host, tmp_path / "repository", path, config)
    found.write("one", "two")
    return found
