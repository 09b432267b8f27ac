"""What a caller asks for, checked before anything is touched.

The request is JSON on standard input, never arguments: it carries settings, and arguments show in process lists.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Any

from slipway import envfile, settings
from slipway.errors import BAD_REQUEST, SlipwayError
from slipway.layout import APP_NAME

DATABASES = ("sqlite", "postgresql")
HOOKS = ("before_build", "before_switch", "after_switch")
PROCESS_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Health:
    """The question that decides whether a release may serve.

    Args:
        host: the canonical domain, sent as the Host header.
        path: the path asked for.
        status: the status that counts as healthy.
        text: text that the body must hold; empty accepts any body.
        timeout: seconds from the start of the instance until it has to be healthy.
    """

    host: str
    path: str = "/"
    status: int = 200
    text: str = ""
    timeout: float = 30


@dataclass(frozen=True)
class Hook:
    """A command of the user's at one point of the transaction; split as a shell would, but never given to one."""

    command: str
    timeout: float = 300


@dataclass(frozen=True)
class Migrations:
    """How to ask what the database is at and what the code wants.

    Args:
        current: prints the revision that the database is at, one a line.
        heads: prints the revision that the code wants, one a line.
    """

    current: str
    heads: str


@dataclass(frozen=True)
class Database:
    """Where an app keeps its data. Of a password nothing: that is a setting.

    Args:
        kind: `sqlite` (files in `shared/`) or `postgresql`.
        name: the database's; empty for files.
        user: the role that the app has there.
        host: the server's name or address; empty for this very host, by its Unix socket.
        port: the server's.
    """

    kind: str = "sqlite"
    name: str = ""
    user: str = ""
    host: str = ""
    port: int = 5432


@dataclass(frozen=True)
class Settings:
    """The settings file of a release: its name, the variable that tells the app where it is, its content."""

    filename: str = "settings.json"
    variable: str = "APP_SETTINGS"
    content: bytes = b"{}\n"


@dataclass(frozen=True)
class Spec:
    """One app as the caller wants it to be.

    Args:
        app: name of the app, of its user and of its units.
        source: digest of the source tree, as the packer computed it.
        revision: the commit that the tree is, or None where it is none or not a clean one.
        health: the gate.
        settings: the settings file.
        env: further environment variables.
        python: absolute path of the interpreter for the virtual environment.
        requirements: path of the dependency lock, relative to the source.
        config_files: files of the host that belong to the release (the server's configuration); copied into it.
        unit_files: unit files of the host that a release runs under; a change of one is a new release.
        release_command: run once before any traffic, or empty.
        release_timeout: seconds that it may take.
        migrate: whether this host is the one of the deploy that runs the release command.
        migrations: how a rollback finds out whether the older code fits the database, or None.
        hooks: commands at `before_build`, `before_switch` and `after_switch`.
        workers: long-running commands by name; one unit each, bound to the release.
        timers: commands by name that a systemd timer starts, always with the serving release.
        static: directory of static files, relative to the source, or empty.
        packaged: whether the app is a package: its static files are then relative to site-packages.
        shared: directories of the source that live in `shared/` instead and outlast every release.
        keep: good releases to keep.
        lock_timeout: seconds to wait for another transaction.
        front: `address:port` of the web server to ask after the switch, or empty.
        database: where its data is.
        guarded: whether the web server turns strangers away: its 401 or 403 is then an answer too.
        actor: who asks and from where; for the journal only.
        files: a digest for each file of the source by its name, to say what changed.
        lock: the text of the dependency lock, for the same.
    """

    app: str
    source: str
    health: Health
    revision: str | None = None
    settings: Settings = Settings()
    env: dict[str, str] = field(default_factory=dict)
    python: str = "/usr/bin/python3"
    requirements: str = "requirements.txt"
    config_files: tuple[str, ...] = ()
    unit_files: tuple[str, ...] = ()
    release_command: str = ""
    release_timeout: float = 300
    migrate: bool = True
    migrations: Migrations | None = None
    hooks: dict[str, Hook] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=dict)
    timers: dict[str, str] = field(default_factory=dict)
    static: str = ""
    packaged: bool = False
    shared: tuple[str, ...] = ()
    keep: int = 5
    lock_timeout: float = 600
    front: str = ""
    guarded: bool = False
    database: Database = Database()
    actor: str = ""
    files: dict[str, str] = field(default_factory=dict)
    lock: str = ""

    def content(self) -> dict[str, Any]:
        """The part that makes a release what it is; a change in any of it is another release."""
        data = dataclasses.asdict(self)
        for operational in (
            "revision",
            "keep",
            "lock_timeout",
            "release_timeout",
            "migrate",
            "front",
            "guarded",
            "database",
            "actor",
            "files",
            "lock",
        ):
            del data[operational]
        data["settings"]["content"] = hashlib.sha256(self.settings.content).hexdigest()
        return data

    def public(self) -> dict[str, Any]:
        """The spec as a release records it: no settings, no values of environment variables."""
        data = dataclasses.asdict(self)
        del data["settings"]["content"]
        data["env"] = sorted(self.env)
        # Of use only to who asks what would change; the release keeps its own list.
        data["files"], data["lock"] = {}, ""
        return data


def from_public(data: dict[str, Any]) -> Spec:
    """Read back what `Spec.public` gave, for a rollback or a start at boot; settings and values stay in the release."""
    settings = Settings(data["settings"]["filename"], data["settings"]["variable"])
    return Spec(**{**data, **_nested(data), "settings": settings, "env": {}})


def _nested(data: dict[str, Any]) -> dict[str, Any]:
    """The parts of a request that are more than JSON knows."""
    migrations = data.get("migrations")
    return {
        "health": Health(**data["health"]),
        "database": Database(**(data.get("database") or {})),
        "migrations": Migrations(**migrations) if migrations else None,
        "hooks": {name: Hook(**hook) for name, hook in (data.get("hooks") or {}).items()},
        **{key: tuple(data.get(key) or ()) for key in ("config_files", "unit_files", "shared")},
    }


def parse(text: str) -> Spec:
    """Read one request.

    Raises:
        SlipwayError: with code BAD_REQUEST, naming the key.
    """
    try:
        data = json.loads(text)
        if "settings" in data:
            data["settings"] = _settings(**data["settings"])
        spec = Spec(**{**data, **_nested(data)})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # The text of the error names keys at most: values are only looked at below.
        raise SlipwayError(f"The request cannot be read: {error}", code=BAD_REQUEST) from None
    _check(spec)
    return spec


def _refuse(key: str, why: str) -> SlipwayError:
    return SlipwayError(f"{key}: {why}", code=BAD_REQUEST)


def _check_commands(spec: Spec) -> None:
    for key, command in _commands(spec):
        try:
            shlex.split(command)
        except ValueError as error:
            raise _refuse(key, str(error)) from None
    for name in (*spec.workers, *spec.timers):
        if not PROCESS_NAME.fullmatch(name):
            raise _refuse(name, "a worker's or timer's name is lower-case letters, digits and hyphens")
    if unknown := set(spec.hooks) - set(HOOKS):
        raise _refuse("hooks", f"there is no {unknown.pop()}; there are {', '.join(HOOKS)}")


def _commands(spec: Spec) -> list[tuple[str, str]]:
    return [
        ("release_command", spec.release_command),
        *((f"hooks.{name}", hook.command) for name, hook in spec.hooks.items()),
        *((f"workers.{name}", command) for name, command in spec.workers.items()),
        *((f"timers.{name}", command) for name, command in spec.timers.items()),
    ]


def _settings(values: dict[str, Any], form: str = "json", variable: str = "APP_SETTINGS") -> Settings:
    filename, content = settings.render(form, values)
    return Settings(filename, variable, content)


def _check(spec: Spec) -> None:
    if not APP_NAME.fullmatch(spec.app):
        raise _refuse("app", "must be 1 to 31 lower-case letters, digits and hyphens, beginning with a letter")
    for key, path in (
        ("requirements", spec.requirements),
        ("static", spec.static),
        *(("shared", s) for s in spec.shared),
    ):
        if path.startswith(("/", "-")) or ".." in path.split("/") or "\0" in path:
            raise _refuse(key, f"{path!r} must be a path inside the source")
    if "/" in spec.settings.filename or not spec.settings.filename.startswith("settings."):
        raise _refuse("settings.filename", "must be settings.json, settings.toml or settings.py")
    if not envfile.NAME.fullmatch(spec.settings.variable) or spec.settings.variable in spec.env:
        raise _refuse("settings_file.variable", "must be the name of a variable that env does not set")
    if any(character in spec.health.host + spec.health.path for character in "\r\n \0"):
        raise _refuse("health", "host and path may hold no blank and no line break")
    if spec.keep < 1:
        raise _refuse("keep", "must be at least 1")
    if spec.database.kind not in DATABASES:
        raise _refuse("database", f"must be one of {', '.join(DATABASES)}")
    _check_commands(spec)
    try:
        envfile.dump(spec.env)
    except ValueError as error:
        raise _refuse("env", str(error)) from None
