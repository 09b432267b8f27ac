#!/usr/bin/env python3
"""Writes the reference pages: docs/apps.md from the schema of `apps`, docs/roles.md from each role's argument specs.

With --check it writes nothing and fails where a page is out of date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import yaml

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

# What each `format` of the schema asks for; the checks themselves are in roles/preflight/files/app_rules.
FORMATS = {
    "text": "one line of text, not empty",
    "inside": "a path inside the source: no leading slash, no `..`",
    "wsgi": "`module:object` or `module:factory()`",
    "domain": "a host name in lower case: no port, no wildcard; an international one in its `xn--` form",
    "url_path": "a path that begins with a slash",
    "url_prefix": "a path that begins with a slash and ends without one",
    "command": "one line; quotes group words, as in a shell",
    "variable": "letters, digits and underscores",
    "env": "a dictionary; names are letters, digits and underscores, values are text",
    "settings": "a dictionary of what JSON can hold",
    "source": "`path`, `git` with `version`, or `pip`",
    "git_url": "`https://…`, `ssh://…` or `user@host:path`",
    "git_version": "a branch, a tag or a commit",
    "private_key": "an OpenSSH private key, whole",
    "host_key": "a kind of key, a blank, the key",
    "pin": "a package with its version",
    "interpreter": "a version from 3.8 on, or an absolute path",
    "calendar": "a time as systemd writes it",
    "pem": "a path, or PEM text",
    "size": "a number of bytes, or with `k`, `m` or `g`",
    "rate": "a number a second or a minute, such as `100/s` or `10/m`, or `unlimited`",
    "network": "an address or a network",
    "reachable": "`any`, `localhost`, an address or a network",
    "memory": "a size such as `512M` or `2G`, or a share such as `25%`",
    "redis_memory": "a size such as `64M` or `1G`",
    "user": "up to 64 letters, digits and `_.@+-`",
    "password_hash": "a hash as crypt(3) makes it, such as `$6$…`",
    "headers": "a dictionary; values are one line without `$` and `\\`",
    "snippet": "plain text",
    "database_host": "a host's name or address, without a port",
    "database_password": "at least 24 letters, digits and signs of ASCII",
    "extension": "lower-case letters, digits, `_` and `-`",
}
TYPES = {"str": "text", "int": "number", "bool": "true or false", "dict": "dictionary", "list": "list", "path": "path"}


def read(path: str) -> dict[str, Any]:
    """A YAML file of the project; empty where there is none."""
    file = ROOT / path
    return dict(yaml.safe_load(file.read_text()) or {}) if file.exists() else {}


def prose(text: object) -> str:
    """Descriptions as Ansible has them, a string or a list of paragraphs with its markup, as one line of Markdown."""
    joined = " ".join(map(str, text)) if isinstance(text, list) else str(text)
    return re.sub(r"\b[A-Z]\(([^)]*)\)", r"`\1`", " ".join(joined.split()))


def code(value: object) -> str:
    """A value in a code span; text that could be taken for something else is quoted."""
    plain = isinstance(value, str) and re.fullmatch(r"[\w./{][^\"]*", value)
    return f"`{value if plain else json.dumps(value)}`"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def app_keys(options: dict[str, Any], prefix: str = "") -> Iterator[dict[str, Any]]:
    """Every key of an app, a dictionary's own keys after it."""
    for name, option in options.items():
        rules = [rule(option["format"])] if "format" in option else []
        if "choices" in option:
            rules.append(" or ".join(code(choice) for choice in option["choices"]))
        if "minimum" in option:
            rules.append(f"{option['minimum']} to {option['maximum']}")
        kind = TYPES[option["type"]]
        yield {
            "name": prefix + name,
            "type": f"{kind} of {TYPES[option['elements']]}" if "elements" in option else kind,
            "default": default(option),
            "description": prose(option["description"]),
            "rules": "; ".join(rules),
        }
        yield from app_keys(option.get("options", {}), f"{prefix}{name}.")
        if "values" in option:
            yield from app_keys({"<name>": option["values"]}, f"{prefix}{name}.")


def rule(form: str) -> str:
    """What a format asks for.

    Raises:
        SystemExit: this program has no words for it yet.
    """
    if form not in FORMATS:
        raise SystemExit(f"docs/generate.py: say in FORMATS what the format {form!r} asks for")
    return FORMATS[form]


def default(option: dict[str, Any]) -> str:
    if option.get("required"):
        return "**required**"
    return code(option["default"]) if "default" in option else "none"


def sections(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The keys of an app by the name they begin with, so that each has a heading of its own."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for key in keys:
        grouped.setdefault(key["name"].partition(".")[0], []).append(key)
    return [{"name": name, "first": rows[0], "rest": rows[1:]} for name, rows in grouped.items()]


def play_roles(playbook: str) -> list[str]:
    plays = yaml.safe_load((ROOT / "playbooks" / playbook).read_text())
    named = [entry["role"] for play in plays for entry in play.get("roles", ())]
    imported = [task["ansible.builtin.import_role"]["name"] for play in plays for task in play.get("tasks", ())]
    return [str(name) for name in named + imported]


def roles() -> Iterator[dict[str, Any]]:
    """Every role with an interface: those of site.yml in its order, then the others."""
    # One may come more than once, as the certificates do: before nginx and after it.
    order = list(dict.fromkeys(play_roles("site.yml")))
    wiring = read("group_vars/all/main.yml")
    found = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
    for name in [*order, *(role for role in found if role not in order)]:
        playbooks = sorted(path.name for path in (ROOT / "playbooks").glob("*.yml") if name in play_roles(path.name))
        for entry, spec in read(f"roles/{name}/meta/argument_specs.yml")["argument_specs"].items():
            yield {
                "name": name if entry == "main" else f"{name}, tasks from {entry}.yml",
                "folder": f"roles/{name}",
                "short": prose(spec["short_description"]),
                "description": prose(spec.get("description", "")),
                "playbooks": playbooks,
                "variables": [
                    {
                        "name": variable,
                        "type": TYPES[option["type"]],
                        "default": default(option),
                        "wired": code(wiring[variable]) if variable in wiring else "",
                        "description": prose(option["description"])
                        + (f" One of {', '.join(map(code, option['choices']))}." if "choices" in option else ""),
                    }
                    for variable, option in spec.get("options", {}).items()
                ],
            }


def pages() -> dict[Path, str]:
    """Each generated page and what it has to hold."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DOCS / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, made from this project's own files
    )
    environment.filters["cell"] = cell
    keys = list(app_keys(read("roles/preflight/files/app.yml")))
    values = {"keys": keys, "sections": sections(keys), "roles": list(roles())}
    return {
        DOCS / name.removesuffix(".j2"): environment.get_template(name).render(values)
        for name in environment.list_templates()
    }


def main() -> int:
    """Write the pages, or say which are out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is out of date")
    check = parser.parse_args().check
    stale = [(path, text) for path, text in pages().items() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        if not check:
            path.write_text(text)
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
