"""A filter that checks what is said about who and what gets into a host: admins, ports, addresses.

The checks are as strict as those of `apps`: these words end up in sudoers, in sshd's and in the firewall's rules, and
a key that sshd is going to refuse had better be refused here.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Ansible loads a plugin by its path and knows no package around it.
sys.path.append(str(Path(__file__).resolve().parent.parent / "files"))
from app_rules.described import reserved_names

_USER = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_RULE = {"port", "protocol", "from"}
# What sshd accepts here, roles/ssh/vars/main.yml; the others by the reason to refuse them.
_KEYS = {"ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ssh-rsa"}
_RSA_BITS = 3072
# The variables that are looked at, with what each is where nobody has said anything.
INPUTS: dict[str, Any] = {
    "users_admins": {},
    "ssh_ports": [22],
    "firewall_web_ports": [80, 443],
    "firewall_ssh_from": [],
    "firewall_trusted": [],
    "firewall_allow": [],
}

Problems = Iterator[tuple[str, str]]


def access_problems(given: dict[str, Any], apps: Any = ()) -> list[str]:
    """Everything that is wrong with the variables in INPUTS, one line each.

    Args:
        given: their values by their names; what is missing has its default.
        apps: the names of the apps, each of which is a user too.
    """
    values = INPUTS | given
    found = [*_admins(values["users_admins"]), *_ports("ssh_ports", values["ssh_ports"], least=1)]
    found += _ports("firewall_web_ports", values["firewall_web_ports"])
    for name in ("firewall_ssh_from", "firewall_trusted"):
        found += _networks(name, values[name])
    found += _allowed(values["firewall_allow"])
    found += [
        (f"users_admins.{name}", "is the name of an app, too") for name in values["users_admins"] or () if name in apps
    ]
    if not found and (both := set(values["ssh_ports"]) & set(values["firewall_web_ports"])):
        found.append(("ssh_ports", f"{min(both)} is a port of the web server"))
    return [f"{key}: {text}" for key, text in found]


def _admins(admins: Any) -> Problems:
    if not isinstance(admins, dict):
        yield "users_admins", "must be a dictionary: each admin's name with its keys"
        return
    reserved = reserved_names()
    for name, admin in admins.items():
        key = f"users_admins.{name}"
        if not isinstance(name, str) or not _USER.fullmatch(name):
            yield key, "a name is 1 to 31 lower-case letters, digits, hyphens and underscores, beginning with a letter"
        elif name == "root":
            yield key, "root needs no entry; name an admin of its own, who becomes root by sudo"
        elif name in reserved:
            yield key, "that name belongs to the system; choose another"
        if not isinstance(admin, dict):
            yield key, "must be a dictionary with keys: a list of public SSH keys"
            continue
        for word in admin.keys() - {"keys"}:
            yield f"{key}.{word}", f"unknown key{_meant(str(word), {'keys'})}"
        keys = admin.get("keys")
        if not isinstance(keys, list) or not keys:
            yield f"{key}.keys", "must be a list with at least one public SSH key, as in ~/.ssh/id_ed25519.pub"
            continue
        for number, text in enumerate(keys):
            yield from ((f"{key}.keys[{number}]", problem) for problem in _key(text))


def _key(text: Any) -> Iterator[str]:
    """What is wrong with a public key."""
    if not isinstance(text, str) or "\n" in text.strip() or not text.strip().isprintable():
        yield "must be one line of text, as in ~/.ssh/id_ed25519.pub"
        return
    if "PRIVATE" in text:
        yield "is a private key, which nobody else may have: make a new pair, and take the half that ends in .pub"
        return
    kind, _, rest = text.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.partition(" ")[0], validate=True)
        fields = list(_fields(blob))
    except (binascii.Error, ValueError):
        fields = []
    if not fields or fields[0].decode(errors="replace") != kind:
        yield "is no public SSH key: it begins with its kind, such as ssh-ed25519; options before that are not known"
    elif kind not in _KEYS:
        yield f"sshd accepts no {kind} here: make an ed25519 key with ssh-keygen -t ed25519"
    elif kind == "ssh-rsa" and (bits := int.from_bytes(fields[2], "big").bit_length()) < _RSA_BITS:
        yield f"has {bits} bits, and sshd accepts RSA from {_RSA_BITS} on: make another with ssh-keygen -t ed25519"


def _fields(blob: bytes) -> Iterator[bytes]:
    """The parts of a key, each of which has its length before it.

    Raises:
        ValueError: the key has been cut off.
    """
    while blob:
        end = 4 + int.from_bytes(blob[:4], "big")
        if len(blob) < end:
            raise ValueError("cut off")
        yield blob[4:end]
        blob = blob[end:]


def _ports(name: str, ports: Any, least: int = 0) -> Problems:
    if not isinstance(ports, list) or len(ports) < least:
        yield name, "must be a list of ports" + (", with at least one" if least else "")
        return
    for port in ports:
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
            yield name, f"{port!r} is no port: a number from 1 to 65535"
    if len(set(map(str, ports))) < len(ports):
        yield name, "names a port twice"


def _networks(name: str, networks: Any) -> Problems:
    if not isinstance(networks, list):
        yield name, "must be a list of addresses and networks"
        return
    for text in networks:
        try:
            ipaddress.ip_network(text if isinstance(text, str) else "", strict=True)
        except ValueError:
            yield name, f"{text!r} is no address and no network such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"


def _allowed(rules: Any) -> Problems:
    if not isinstance(rules, list):
        yield "firewall_allow", "must be a list of dictionaries such as {port: 8000, from: [192.0.2.0/24]}"
        return
    for number, rule in enumerate(rules):
        key = f"firewall_allow[{number}]"
        if not isinstance(rule, dict):
            yield key, "must be a dictionary such as {port: 8000, from: [192.0.2.0/24]}"
            continue
        for word in rule.keys() - _RULE:
            yield f"{key}.{word}", f"unknown key{_meant(str(word), _RULE)}"
        match = _RANGE.fullmatch(str(rule.get("port", "")))
        ends = [int(end) for end in match.groups() if end] if match else [0]
        if not all(0 < end < 65536 for end in ends) or ends != sorted(ends):
            yield f"{key}.port", "must be a port or a range such as 6000-6010"
        if rule.get("protocol", "tcp") not in ("tcp", "udp"):
            yield f"{key}.protocol", "must be tcp or udp"
        if "from" in rule:
            yield from _networks(f"{key}.from", rule["from"])
            if rule["from"] == []:
                yield f"{key}.from", "is empty: leave it out to let everybody in"


def _meant(word: str, known: set[str]) -> str:
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"access_problems": access_problems}
