"""Formats of text that ends up in unit files, commands and paths."""

from __future__ import annotations

import re
import shlex
from typing import Any

from app_rules.described import Problems

# What uv can install and what can run the server; older ones have had no security fixes for years.
PYTHON_VERSION = re.compile(r"3\.([89]|[1-9][0-9])(\.(0|[1-9][0-9]?))?")


_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def name(key: str, value: object) -> Problems:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        yield key, "a name is 1 to 31 lower-case letters, digits and hyphens, beginning with a letter"


def text(key: str, value: str) -> Problems:
    if not value or any(ord(character) < 32 or ord(character) == 127 for character in value):
        yield key, "must be one line of text, and not empty"


def inside(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_./ -]*", value) or ".." in value.split("/") or value.endswith("/"):
        yield key, "must be a path inside the source: no leading slash, no .., plain characters"


def wsgi(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\([\w\"'=, .-]*\))?", value):
        yield key, "must be module:object or module:factory(), for example wsgi:app"


def command(key: str, value: str) -> Problems:
    if "\n" in value or "\0" in value:
        yield key, "must be one line"
        return
    try:
        shlex.split(value)
    except ValueError as error:
        yield key, f"cannot be split into words: {error}"


def calendar(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z0-9*:./,~ -]+", value):
        yield key, "must be a time as systemd writes it, such as daily or Mon 03:00"


def variable(key: str, name: Any) -> Problems:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        yield key, "an environment variable's name is letters, digits and underscores, not beginning with a digit"
    elif name.startswith("LD_") or name in {"PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "RELEASE_ID"}:
        yield key, "this variable decides what code runs; Slipway sets it or leaves it out"


def interpreter(key: str, value: str) -> Problems:
    if not value.startswith("/"):
        if value and not PYTHON_VERSION.fullmatch(value):
            yield key, 'must be a version from 3.8 on, such as "3.12" or "3.12.9", or the path of an interpreter'
    elif not re.fullmatch(r"/[A-Za-z0-9_./-]+", value) or ".." in value.split("/"):
        yield key, "must be the absolute path of an interpreter, such as /usr/bin/python3"


# Where nothing else finds its own again: what a variable may name is below these.
_TOO_HIGH = {"bin", "boot", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run", "sys", "tmp",
             "usr", "var"}  # fmt: skip


def directory(key: str, value: str) -> Problems:
    if not re.fullmatch(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+", value):
        yield key, "must be an absolute path such as /srv: no trailing slash, no .., plain characters"
    elif value[1:] in _TOO_HIGH or value.split("/")[1] in {"dev", "proc", "run", "sys", "tmp"}:
        yield key, f"{value} belongs to the system; name a directory of its own"


def package(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?", value):
        yield key, "must be the name of a Debian package"


def account(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", value):
        yield key, "must be the name of a user or group"


def version(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6}){2}", value):
        yield key, 'must be a version of Slipway, such as "0.2.0"'


def zone(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", value):
        yield key, "must be a time zone such as Etc/UTC or Europe/Berlin"
