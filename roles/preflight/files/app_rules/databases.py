"""What is said of databases."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from app_rules.access import network
from app_rules.described import Problems

# Names that PostgreSQL has for itself: an app's name is that of its role and of its database.
_TAKEN = {"none", "postgres", "public", "template0", "template1"}
_NAMES = re.compile(r'[A-Za-z0-9_+@."-]+(,[A-Za-z0-9_+@."-]+)*')
# Kinds of lines of pg_hba.conf, each with the number of words before the method.
_KINDS = {"local": 3, "host": 4, "hostssl": 4, "hostnossl": 4, "hostgssenc": 4, "hostnogssenc": 4}
_METHODS = {"peer", "scram-sha-256", "md5", "cert", "ident", "ldap", "pam", "gss", "radius", "reject"}
_OPTION = re.compile(r"[a-z]+=\S+")
# Beside those that serve: release_command, and somebody who looks, twice.
_MORE = 3
# For whoever looks after the server, for backups and dumps: what the server keeps for superusers, and some.
KEPT = 8
# Who has no such password tries them one by one.
SHORTEST = 24
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LONGEST = 253
_WHY = "server.processes x server.threads, twice during a deploy, workers, timers, and 3"


def extension(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", value):
        yield key, "must be the name of an extension of PostgreSQL, such as citext"


def rule(key: str, value: str) -> Problems:
    """One line of pg_hba.conf, whose own check comes too late: with a line that it cannot read no server starts."""
    words = value.split(" ") if value.isprintable() else []
    count = _KINDS.get(words[0] if words else "", 0)
    right = count and len(words) > count and all(map(_NAMES.fullmatch, words[1:3]))
    if not right or not all(map(_OPTION.fullmatch, words[count + 1 :])):
        yield key, "must be a line of pg_hba.conf with single blanks, such as local all monitoring peer"
    elif words[count] not in _METHODS:
        trust = "lets in whoever says that name" if words[count] == "trust" else f"there is no method {words[count]}"
        yield key, f"{trust}; use peer or scram-sha-256"
    elif count == 4 and words[3] not in {"all", "samehost", "samenet"}:
        try:
            ipaddress.ip_network(words[3])
        except ValueError:
            yield key, f"{words[3]} is no network such as 10.0.0.0/8"


def host(key: str, value: str) -> Problems:
    if not value:
        return
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if not _HOST.fullmatch(value) or len(value) > _LONGEST:
            yield key, "must be a host's name or address, without a port"


def password(key: str, value: str) -> Problems:
    # Beyond ASCII, server and client would have to agree on what is the same letter.
    if not re.fullmatch(r"[!-~]+", value):
        yield key, "must be letters, digits and signs of ASCII, without a blank"
    elif len(value) < SHORTEST:
        make = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        yield key, f"is shorter than {SHORTEST} characters; take what this prints: {make}"


def connections(app: dict[str, Any]) -> int:
    """How many connections to its database an app may have open at once.

    Args:
        app: what is said of it; defaults may be missing.
    """
    server = app.get("server", {})
    # While a release is switched to, two instances run; each thread has one connection.
    serving = 2 * server.get("processes", 2) * server.get("threads", 3)
    derived = serving + len(app.get("workers", {})) + len(app.get("timers", {})) + _MORE
    return int(app.get("postgresql", {}).get("connections", derived))


def crowded(apps: dict[str, Any], limit: int, hosts: int = 1) -> Problems:
    """More connections than PostgreSQL takes.

    Args:
        apps: those whose database it has, with all that is said of them.
        limit: what it takes.
        hosts: how many hosts run each app.
    """
    wanted = {name: connections(app) * hosts for name, app in apps.items()}
    needed = sum(wanted.values()) + KEPT
    if needed <= limit:
        return
    each = ", ".join(f"{count} of {name}" for name, count in wanted.items())
    text = (
        f"is {limit}, and {needed} are needed: {each} ({_WHY}), and {KEPT} for whoever looks after it. Say "
        f"postgresql_max_connections: {needed}, lower server.processes or server.threads of an app, or give an app "
        "fewer with postgresql.connections"
    )
    yield "postgresql_max_connections", text


def placed(apps: dict[str, Any], names: list[str], clients: dict[str, str]) -> Problems:
    """What has to be known of hosts before a database can be on another one.

    Args:
        apps: those whose database is on another host, with all that is said of them.
        names: the names and addresses of the hosts that have databases.
        clients: the address of each host that has apps, by its name.
    """
    for name, app in apps.items():
        if app["postgresql"]["host"] not in names:
            known = f"there are {', '.join(names)}" if names else "that group is empty"
            yield f"apps.{name}.postgresql.host", f"is no host of the group db in the inventory: {known}"
    for client, address in clients.items() if apps else ():
        if list(network(client, address)):
            yield (
                "private_address",
                f"is missing for {client} in the inventory: the address that it comes from",
            )


def together(key: str, app: dict[str, Any]) -> Problems:
    """Of an app whose keys are right by themselves."""
    if app.get("database") != "postgresql":
        if app.get("postgresql"):
            yield f"{key}.postgresql", "belongs to database: postgresql, and database is sqlite"
        return
    options = app.get("postgresql", {})
    if options.get("host") and "password" not in options:
        yield f"{key}.postgresql.password", "is missing: on another host the app needs one, from the vault"
    if options.get("host") and not app.get("network", ["any"]):
        yield f"{key}.network", "is empty, and the database is on another host; name its address, or leave network out"
    if "password" in options and not options.get("host"):
        yield f"{key}.postgresql.password", "belongs to host, which is not there; on its own host the app needs none"
    if (name := key.removeprefix("apps.")) in _TAKEN:
        yield key, f"PostgreSQL has a {name} of its own; choose another name"
