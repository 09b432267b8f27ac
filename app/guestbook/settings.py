"""Where settings come from, in order: each loader wins over those above it.

1. defaults on ``app.config``: Flask's own and RELEASE_ID
2. ``from_object``        the class of guestbook.config for the environment
3. ``from_pyfile``        instance/local.py, in development, if it is there
4. ``from_file`` (JSON, TOML) or ``from_envvar`` (Python)   the file named by APP_SETTINGS
5. ``from_prefixed_env``  FLASK_…; in development, .env adds to the environment first
6. ``from_mapping``       what create_app was given: for tests
"""

import importlib.util
import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from flask import Config as FlaskConfig
from flask import Flask
from flask.cli import load_dotenv
from flask.helpers import get_load_dotenv

from guestbook.checks import SettingsError, refuse_unsafe
from guestbook.config import DEFAULT_ENVIRONMENT, ENVIRONMENTS
from guestbook.values import check_types, convert

PROJECT = Path(__file__).resolve().parent.parent
PREFIX = "FLASK"
SOURCES = "guestbook.settings"


def load_settings(app: Flask, name: str | None, overrides: Mapping[str, Any] | None) -> None:
    """Fill ``app.config`` for the environment ``name``, or raise SettingsError."""
    name, chosen_by = _environment(name)
    if name == "development":
        _load_dotenv()
    elif name == "production":
        _refuse_dotenv()

    app.extensions[SOURCES] = dict.fromkeys(app.config, "Flask's default")

    with _layer(app, "default") as config:
        config["RELEASE_ID"] = "unreleased"
    if release := os.environ.get("RELEASE_ID"):
        with _layer(app, "environment variable RELEASE_ID") as config:
            config["RELEASE_ID"] = release

    environment = ENVIRONMENTS[name]
    with _layer(app, lambda key: f"class {_definer(environment, key)}") as config:
        config.from_object(environment)

    if name == "development":
        # Nowhere else: the app may write to its instance folder, and this runs as code.
        local = Path(app.instance_path, "local.py")
        with _layer(app, "instance/local.py") as config, _naming("instance/local.py"):
            config.from_pyfile(local, silent=True)

    if path := os.environ.get("APP_SETTINGS"):
        with _layer(app, f"settings file {path}") as config, _naming(f"APP_SETTINGS={path}"):
            _settings_file(config, path)

    with _layer(app, lambda key: f"environment variable {PREFIX}_{key}") as config:
        config.update(_prefixed_environment(app.config))

    with _layer(app, "create_app") as config:
        config.from_mapping(overrides or {})

    with _layer(app, chosen_by) as config:
        config["ENV_NAME"] = name

    refuse_unsafe(app.config, production=name == "production")


def _environment(name: str | None) -> tuple[str, str]:
    """Return the environment's name and what chose it."""
    chosen_by = "create_app"
    if name is None:
        chosen_by = f"environment variable {PREFIX}_ENV_NAME"
        name = os.environ.get(f"{PREFIX}_ENV_NAME")
    if name is None:
        name, chosen_by = DEFAULT_ENVIRONMENT, "default"
    if name not in ENVIRONMENTS:
        known = ", ".join(sorted(ENVIRONMENTS))
        raise SettingsError([f"{name!r} ({chosen_by}) is no environment: use one of {known}"])
    return name, chosen_by


def _definer(environment: type, key: str) -> str:
    return next(base.__name__ for base in environment.__mro__ if key in vars(base))


@contextmanager
def _layer(app: Flask, source: str | Callable[[str], str]) -> Iterator[FlaskConfig]:
    """Yield an empty config for one loader to fill; then merge it, and note who set what."""
    layer = FlaskConfig(Path.cwd())
    yield layer
    label = source if callable(source) else lambda _key: source
    check_types(layer, app.config, label)
    app.config.update(layer)
    app.extensions[SOURCES].update({key: label(key) for key in layer})


def _settings_file(config: FlaskConfig, path: str) -> None:
    match Path(path).suffix:
        case ".json":
            # As bytes, so that the server's locale has no say in how they are read.
            config.from_file(path, load=_json_object, text=False)
        case ".toml":
            config.from_file(path, load=tomllib.load, text=False)
        case ".py":
            config.from_envvar("APP_SETTINGS")
        case suffix:
            message = f"APP_SETTINGS: {suffix!r} is none of .json, .toml, .py ({path})"
            raise SettingsError([message])


def _json_object(file: IO[Any]) -> dict[str, Any]:
    values = json.load(file)
    if not isinstance(values, dict):
        raise TypeError("not an object of keys and values")
    ignored = sorted(key for key in values if not key.isupper())
    if ignored:
        raise KeyError(f"Flask ignores keys that are not upper case: {', '.join(ignored)}")
    return values


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Turn whatever a broken settings file raises into one line without its content."""
    try:
        yield
    except SettingsError:
        raise
    except Exception as error:
        # Not the message: a syntax error quotes the line, and the line may hold a secret.
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""
        why = reason or type(error).__name__
        raise SettingsError([f"{what} cannot be read: {why}{where}"]) from None


def _prefixed_environment(current: FlaskConfig) -> dict[str, Any]:
    texts = FlaskConfig(Path.cwd())
    # loads=str: Flask would read JSON, and so turn an all-digit secret into a number.
    # Only a key that already has a type is converted.
    try:
        texts.from_prefixed_env(PREFIX, loads=str)
    except TypeError:
        message = f"a {PREFIX}_KEY and a {PREFIX}_KEY__PART of it are both set: choose one"
        raise SettingsError([message]) from None
    return convert(texts, current, f"{PREFIX}_")


def _load_dotenv() -> None:
    path = PROJECT / ".env"
    if not path.is_file():
        return
    if importlib.util.find_spec("dotenv") is None:
        raise SettingsError([f"{path} needs python-dotenv: install requirements-dev.txt"])
    load_dotenv(path, load_defaults=False)


def _refuse_dotenv() -> None:
    """The flask command reads .env by itself, before there is an app to say no."""
    if "FLASK_RUN_FROM_CLI" not in os.environ or not get_load_dotenv():
        return
    if importlib.util.find_spec("dotenv") is None:
        return
    here = Path.cwd()
    for path in (folder / name for folder in (here, *here.parents) for name in (".env", ".flaskenv")):
        if path.is_file():
            message = f"production reads no {path.name}, but {path} was read: set FLASK_SKIP_DOTENV=1"
            raise SettingsError([message])
