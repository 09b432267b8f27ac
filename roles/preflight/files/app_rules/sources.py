"""Formats of where an app's code comes from."""

from __future__ import annotations

import re
from typing import Any

from app_rules import words
from app_rules.described import Problems


def source(key: str, value: dict[str, Any]) -> Problems:
    kinds = [kind for kind in ("git", "pip", "path") if kind in value]
    if not kinds or kinds == ["pip", "path"]:
        yield key, "must say where the code is by one of path, git and pip"
    if "git" in value and "pip" in value:
        yield key, "must be one of git and pip, not both"
    if "git" in value and "path" in value:
        yield from words.inside(f"{key}.path", value["path"])
    if "git" in value and "version" not in value:
        yield f"{key}.version", "is missing: the branch, tag or commit to deploy"
    for extra in sorted({"version", "key", "host_key"} & set(value)):
        if "git" not in value:
            yield f"{key}.{extra}", "belongs to git, which is not there"


def git_url(key: str, value: str) -> Problems:
    if re.match(r"https?://[^/]*@", value):
        yield key, "holds a password or user name; take it out and give a deploy key in key"
    elif not re.fullmatch(r"(https://|ssh://)[\w.@:/~+-]+|[\w.-]+@[\w.-]+:[\w./~+-]+", value) or value.startswith("-"):
        yield key, "must be an https:// or ssh:// URL, or user@host:path"


def git_version(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z0-9][\w./+-]*", value) or ".." in value:
        yield key, "must be the name of a branch, a tag or a commit"


def private_key(key: str, value: str) -> Problems:
    lines = value.strip().splitlines() or [""]
    if not re.fullmatch(r"-----BEGIN [A-Z ]*PRIVATE KEY-----", lines[0]) or len(lines) < 3:
        yield key, "must be a whole private SSH key, from -----BEGIN to END-----, with its line breaks"


def host_key(key: str, value: str) -> Problems:
    if not re.fullmatch(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?", value.strip()):
        yield key, "must be one line such as ssh-ed25519 AAAA…, as in known_hosts but without the host"


def pin(key: str, value: str) -> Problems:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(\[[\w, -]+\])?==[A-Za-z0-9][\w.!+-]*", value):
        yield key, "must be a package with its version, such as ihatemoney==7.2.1"
