"""What makes a secret none. Messages never hold the secret itself.

Used before a deploy by the preflight role, and before a commit by vault-guard.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

# Names whose values are secret, wherever they stand.
SECRET_NAME = re.compile(r"(?i)(^|_)(secret|secret_key|password|passwd|token|api_key|private_key|access_key)$")
SHORTEST = 8
SHORTEST_KEY = 32
_PLACEHOLDERS = ("changeme", "replaceme", "placeholder", "yoursecret", "mysecret", "notsecret", "insecure",
                 "developmentonly", "testingonly", "yourpassword", "insertsecret")  # fmt: skip
_WORDS = {"password", "passwd", "secret", "secretkey", "admin", "test", "todo", "dummy", "letmein", "qwerty"}


def leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Every value inside lists and dictionaries, each with its place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(f"{name}[{index}]", item)
    else:
        yield name, value


def plain(name: str, value: object) -> Iterator[str]:
    """The places of secrets that are written out: under a secret's name, and no template that fetches one."""
    if isinstance(value, dict):
        for key, item in value.items():
            if (
                (SECRET_NAME.search(str(key)) or "PRIVATE KEY-----" in str(item))
                and isinstance(item, str | int)
                and not isinstance(item, bool)
                and "{{" not in str(item)
                and item != ""
            ):
                yield f"{name}.{key}"
            else:
                yield from plain(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from plain(f"{name}[{index}]", item)


def reads_as_text(text: str) -> bool:
    """Whether YAML would take some text for text if it stood there without quotes.

    Ansible reads what follows `!unsafe` in that way, quotes or not: `!unsafe "0123"` is the number 83. What is no text
    then has to stand in quotes alone; it can hold no template.
    """
    tag: str = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return tag == "tag:yaml.org,2002:str"


def text_problem(text: str) -> str | None:
    """Why some text can be in no configuration file, or None."""
    if "\0" in text:
        return "holds a NUL character, which no configuration can carry"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half of a surrogate pair, which is no text"
    return None


def weakness(name: str, value: object) -> str | None:
    """Why a value is no secret, or None. A name that ends in `secret_key` is held to the length that Flask's needs."""
    if not isinstance(value, str):
        kind = type(value).__name__.removeprefix("_AnsibleTagged").lower()
        return f"must be text and is {kind}; put it in quotes, without !unsafe, which would read a number all the same"
    if problem := text_problem(value):
        return problem
    key = name.lower().split("[")[0].removesuffix("_fallbacks").endswith("secret_key")
    shortest = SHORTEST_KEY if key else SHORTEST
    if len(value) < shortest:
        return f"is shorter than {shortest} characters"
    letters = "".join(filter(str.isalpha, value.lower()))
    if (
        len(set(value)) < (SHORTEST if key else SHORTEST // 2)
        or letters in _WORDS
        or letters.startswith("example")
        or any(word in letters for word in _PLACEHOLDERS)
    ):
        return "is a placeholder; take the output of python3 -c 'import secrets; print(secrets.token_hex())'"
    return None
