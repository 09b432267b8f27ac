"""Filters that check the `apps` dictionary and fill in its defaults.

The checks are strict on purpose: most of these words end up in a unit file, in nginx's configuration or in a command
line, and a mistake must show before anything on a host changes, with the key to edit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

# Ansible loads a plugin by its path and knows no package around it.
sys.path.append(str(Path(__file__).resolve().parent.parent / "files"))
from app_rules import databases, logins, redis
from app_rules.described import schema
from app_rules.http import body_limit
from app_rules.walk import app_problems
from app_rules.words import PYTHON_VERSION

_DATABASE = "SQLALCHEMY_DATABASE_URI"


def apps_problems(apps: Any) -> list[str]:
    """Everything that is wrong with `apps`, one line each; empty where it may be deployed."""
    if not isinstance(apps, dict) or not apps:
        return ["apps: must be a dictionary with at least one app"]
    problems = [f"{key}: {text}" for name, app in apps.items() for key, text in app_problems(name, app)]
    return [*problems, *_taken_domains(apps), *redis.names(apps)]


def _taken_domains(apps: dict[Any, Any]) -> Iterator[str]:
    """Each domain that an app says and one before it, or the same one, has said."""
    seen: dict[str, str] = {}
    for name, app in apps.items():
        listed = app.get("domains") if isinstance(app, dict) else None
        for index, domain in enumerate(listed if isinstance(listed, list) else ()):
            key, word = f"apps.{name}.domains[{index}]", str(domain).lower()
            if word in seen:
                yield f"{key}: the domain {word} stands more than once; it is {seen[word]} already"
            seen.setdefault(word, key)


def apps_complete(apps: Any, root: str = "/srv") -> dict[str, Any]:
    """`apps` with every default filled in, and the settings that follow from other keys.

    Args:
        apps: as a user wrote it.
        root: the directory that holds one directory an app.

    Raises:
        AnsibleFilterError: something is wrong with it.
    """
    problems = apps_problems(apps)
    if problems:
        raise AnsibleFilterError("\n".join(problems))
    return {name: _app_complete(name, app, root) for name, app in apps.items() if app.get("state") != "absent"}


def _app_complete(name: str, app: dict[str, Any], root: str) -> dict[str, Any]:
    complete = _complete(app, schema())
    complete["postgresql"].setdefault("connections", databases.connections(app))
    if complete["postgresql"]["host"]:
        complete["postgresql"]["login"] = logins.login(name, complete["postgresql"]["password"])
    derived: dict[str, Any] = {}
    limit = body_limit(app)
    if limit is not None:
        derived["MAX_CONTENT_LENGTH"] = limit
    if not {_DATABASE, f"FLASK_{_DATABASE}"} & complete["env"].keys():
        derived[_DATABASE] = _database_uri(name, complete, root)
    if complete["redis"] and not {"REDIS_URL", "FLASK_REDIS_URL"} & complete["env"].keys():
        derived["REDIS_URL"] = redis.url(name)
    complete["settings"] = {**derived, **complete["settings"]}
    return complete


def _database_uri(name: str, app: dict[str, Any], root: str) -> str:
    """Where an app finds its database, in SQLAlchemy's words."""
    if app["database"] == "sqlite":
        return f"sqlite:///{root}/{name}/shared/{name}.db"
    if host := app["postgresql"]["host"]:
        return logins.address(name, host, app["postgresql"]["password"])
    # By its Unix socket, which knows who comes: there is no password that could leak.
    return f"postgresql+psycopg://{name}@/{name}?host=/run/postgresql"


def apps_absent(apps: Any) -> dict[str, str]:
    """The apps to take away, each with what becomes of its data: `keep` or `delete`."""
    return {name: app.get("data", "keep") for name, app in apps.items() if app.get("state") == "absent"}


def apps_public(apps: Any) -> dict[str, Any]:
    """`apps_complete` without what may be secret: all that anything but the deploy itself needs.

    Ansible prints an item of a loop that fails, whatever its label says.
    """
    secret = {"settings", "env", "source"}
    return {
        name: {key: value for key, value in app.items() if key not in secret}
        # Who may come in, without the hashes of their passwords, and the certificate's kind without its key.
        | {"access": {**app["access"], "users": sorted(app["access"]["users"])}}
        | {"postgresql": _without_password(app["postgresql"])}
        | {"tls": {key: value for key, value in app["tls"].items() if key != "key"}}
        for name, app in apps_complete(apps).items()
    }


def apps_given_certificates(apps: Any) -> dict[str, Any]:
    """The certificate, its key and its domains, of each app that brings its own."""
    return {
        name: {"domains": app["domains"], "certificate": app["tls"]["certificate"], "key": app["tls"]["key"]}
        for name, app in apps_complete(apps).items()
        if app["tls"]["mode"] == "files"
    }


def apps_credentials(apps: Any) -> dict[str, dict[str, str]]:
    """The password hashes by user of each app that asks for a password."""
    return {name: app["access"]["users"] for name, app in apps_complete(apps).items() if app["access"]["users"]}


def apps_postgresql(apps: Any) -> dict[str, Any]:
    """The apps whose database PostgreSQL has on their own host, each with what it needs of it."""
    return {name: app["postgresql"] for name, app in _on(apps, [""]).items()}


def _without_password(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "password"}


def _on(apps: Any, names: list[str] | None = None) -> dict[str, Any]:
    """The apps whose database is on a host that has one of these names; on any other host than theirs without names.

    Their own host has the empty name.
    """
    return {
        name: app
        for name, app in apps_complete(apps).items()
        if app["database"] == "postgresql"
        and (app["postgresql"]["host"] in names if names is not None else app["postgresql"]["host"])
    }


def apps_databases(apps: Any, names: list[str], hosts: int) -> dict[str, Any]:
    """What the apps need of a host that has their databases.

    Args:
        apps: as a user wrote them.
        names: the host's names and addresses.
        hosts: how many hosts run each app.
    """
    return {
        name: {**_without_password(app["postgresql"]), "connections": app["postgresql"]["connections"] * hosts}
        for name, app in _on(apps, names).items()
    }


def apps_logins(apps: Any, names: list[str]) -> dict[str, str]:
    """What a host that has databases knows of the apps' passwords, by login."""
    return {
        app["postgresql"]["login"]: logins.verifier(name, app["postgresql"]["password"])
        for name, app in _on(apps, names).items()
    }


def apps_restore_logins(apps: Any, names: list[str], repository: str) -> dict[str, str]:
    """What a host that has databases knows of the passwords of those who restore, by login.

    Args:
        apps: as a user wrote them.
        names: the host's names and addresses.
        repository: the password of the backups; empty where there are none, and so nothing to restore.
    """
    found = {}
    for name in _on(apps, names) if repository else ():
        who, password = logins.restorer(name), logins.restore_password(name, repository)
        found[logins.login(who, password)] = logins.verifier(who, password)
    return found


def apps_apart(apps: Any) -> list[str]:
    """The apps whose database is on another host."""
    return sorted(_on(apps))


def apps_connection_problems(apps: Any, limit: int, hosts: dict[str, Any] | None = None) -> list[str]:
    """Whether PostgreSQL is where apps look for it, and takes all the connections that they may open; a line a problem.

    Args:
        apps: as a user wrote them.
        limit: the connections that the host's own takes.
        hosts: `preflight_databases`.
    """
    if apps_problems(apps):
        return []
    names, own, clients = ((hosts or {}).get(key) or [] for key in ("names", "own", "clients"))
    named = _on(apps, own or [""])
    found = [*databases.placed(_on(apps), names, dict(clients))]
    found += databases.crowded(named, int(limit), len(clients) if own else 1) if named else []
    return [f"{key}: {text}" for key, text in found]


def apps_pythons(apps: Any) -> list[str]:
    """The versions of Python that the apps name, for the role that provides them."""
    named = {str(app.get("python", "")) for app in apps.values() if app.get("state") != "absent"}
    return sorted(version for version in named if PYTHON_VERSION.fullmatch(version))


def _complete(value: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    filled = {}
    for key, option in options.items():
        if key in value or "default" in option:
            given = value.get(key, option.get("default"))
            filled[key] = _filled(given, option)
    return filled


def _filled(given: Any, option: dict[str, Any]) -> Any:
    if "options" in option:
        return _complete(given, option["options"])
    if "values" in option:
        return {name: _filled(item, option["values"]) for name, item in given.items()}
    return given


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "apps_problems": apps_problems,
            "apps_complete": apps_complete,
            "apps_public": apps_public,
            "apps_credentials": apps_credentials,
            "apps_given_certificates": apps_given_certificates,
            "apps_absent": apps_absent,
            "apps_apart": apps_apart,
            "apps_databases": apps_databases,
            "apps_logins": apps_logins,
            "apps_restore_logins": apps_restore_logins,
            "apps_postgresql": apps_postgresql,
            "apps_connection_problems": apps_connection_problems,
            "apps_pythons": apps_pythons,
        }
