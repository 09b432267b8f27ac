"""What a caller asks for, checked before anything is touched.

The request is JSON on standard input, never arguments: it carries settings, and arguments show in process lists.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
from dataclasses import dataclass, field
from typing import Any

from slipway import envfile, settings
from slipway.errors import BAD_REQUEST, SlipwayError
from slipway.layout import APP_NAME


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
        static: directory of static files, relative to the source, or empty.
        shared: directories of the source that live in `shared/` instead and outlast every release.
        keep: good releases to keep.
        lock_timeout: seconds to wait for another transaction.
        front: `address:port` of the web server to ask after the switch, or empty.
        actor: who asks and from where; for the journal only.
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
    static: str = ""
    shared: tuple[str, ...] = ()
    keep: int = 5
    lock_timeout: float = 600
    front: str = ""
    actor: str = ""

    def content(self) -> dict[str, Any]:
        """The part that makes a release what it is; a change in any of it is another release."""
        data = dataclasses.asdict(self)
        for operational in ("revision", "keep", "lock_timeout", "release_timeout", "front", "actor"):
            del data[operational]
        data["settings"]["content"] = hashlib.sha256(self.settings.content).hexdigest()
        return data

    def public(self) -> dict[str, Any]:
        """The spec as a release records it: no settings, no values of environment variables."""
        data = dataclasses.asdict(self)
        del data["settings"]["content"]
        data["env"] = sorted(self.env)
        return data


def from_public(data: dict[str, Any]) -> Spec:
    """Read back what `Spec.public` gave, for a rollback or a start at boot; settings and values stay in the release."""
    settings = Settings(data["settings"]["filename"], data["settings"]["variable"])
    lists = {key: tuple(data[key]) for key in ("config_files", "unit_files", "shared")}
    return Spec(**{**data, **lists, "settings": settings, "health": Health(**data["health"]), "env": {}})


def parse(text: str) -> Spec:
    """Read one request.

    Raises:
        SlipwayError: with code BAD_REQUEST, naming the key.
    """
    try:
        data = json.loads(text)
        if "settings" in data:
            data["settings"] = _settings(**data["settings"])
        data["health"] = Health(**data["health"])
        for key in ("config_files", "unit_files", "shared"):
            data[key] = tuple(data.get(key, ()))
        spec = Spec(**data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # The text of the error names keys at most: values are only looked at below.
        raise SlipwayError(f"The request cannot be read: {error}", code=BAD_REQUEST) from None
    _check(spec)
    return spec


def _settings(values: dict[str, Any], form: str = "json", variable: str = "APP_SETTINGS") -> Settings:
    filename, content = settings.render(form, values)
    return Settings(filename, variable, content)


def _check(spec: Spec) -> None:
    def refuse(key: str, why: str) -> SlipwayError:
        return SlipwayError(f"{key}: {why}", code=BAD_REQUEST)

    if not APP_NAME.fullmatch(spec.app):
        raise refuse("app", "must be 1 to 31 lower-case letters, digits and hyphens, beginning with a letter")
    for key, path in (
        ("requirements", spec.requirements),
        ("static", spec.static),
        *(("shared", s) for s in spec.shared),
    ):
        if path.startswith(("/", "-")) or ".." in path.split("/") or "\0" in path:
            raise refuse(key, f"{path!r} must be a path inside the source")
    if "/" in spec.settings.filename or not spec.settings.filename.startswith("settings."):
        raise refuse("settings.filename", "must be settings.json, settings.toml or settings.py")
    if not envfile.NAME.fullmatch(spec.settings.variable) or spec.settings.variable in spec.env:
        raise refuse("settings_file.variable", "must be the name of a variable that env does not set")
    if any(character in spec.health.host + spec.health.path for character in "\r\n \0"):
        raise refuse("health", "host and path may hold no blank and no line break")
    if spec.keep < 1:
        raise refuse("keep", "must be at least 1")
    try:
        shlex.split(spec.release_command)
    except ValueError as error:
        raise refuse("release_command", str(error)) from None
    try:
        envfile.dump(spec.env)
    except ValueError as error:
        raise refuse("env", str(error)) from None
