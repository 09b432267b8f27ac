#!/usr/bin/python
# Copyright: the Slipway contributors
"""Looks at the certificates of a host, whatever gave them, in one round trip."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_certificates
short_description: Say which certificates have to be made
description:
  - Looks at the authority in O(directory), at the certificates below it and at what renews them, and says what is
    wrong with which. Making them takes several modules for each; where nothing is to be made, this one look is all.
options:
  directory:
    description: Holds C(authority/key.pem) and C(authority/certificate.pem), and a directory for each app.
    type: path
    required: true
  selfsigned:
    description: The domains of each app whose certificate the authority here has to sign.
    type: dict
    default: {}
  days:
    description: A certificate of the authority's that ends within so many days has to be renewed.
    type: int
    default: 30
  acme:
    description: The domains of each app whose certificate an ACME authority gives.
    type: dict
    default: {}
  acme_directory:
    description: The URL of that authority's directory.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: It changes nothing.
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Look which certificates there are
  host_certificates:
    directory: /etc/ssl/slipway
    selfsigned: {shop: [shop.example.com, www.shop.example.com]}
"""

RETURN = r"""
problems:
  description: What is wrong, by the name of the app; the authority's is C(authority).
  returned: success
  type: dict
  sample: {shop: ["is for other domains"]}
renew:
  description: The names among them whose certificates end too soon.
  returned: success
  type: list
  elements: str
  sample: []
authority:
  description: The authority's certificate; empty where there is none.
  returned: success
  type: str
client:
  description: Whether the ACME client is installed.
  returned: success
  type: bool
configured:
  description: The apps whose certificates this host has been told to renew.
  returned: success
  type: list
  elements: str
timers:
  description: Those of them whose timer starts at boot.
  returned: success
  type: list
  elements: str
"""

import datetime as dt
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.certificate_store import CERTIFICATE, KEY, Store

try:
    from ansible.module_utils.certificate_pairs import belong, ends, issued_by, load_chain, names
    from cryptography.hazmat.primitives import serialization
except ImportError:
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True

SOON = "ends soon"
AUTHORITY = "authority"
CONFIGURED = Path("/etc/slipway/certificates")
WANTED = Path("/etc/systemd/system/timers.target.wants")
TIMER = "slipway-certificate@"


def access(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, stat.S_IMODE(found.st_mode)


def pair_problems(certificate: Path, key: Path, soon: dt.datetime) -> Iterator[str]:
    """What is wrong with a certificate and its key, whatever it is for."""
    first = load_chain(certificate.read_bytes())[0]
    if not belong(first, serialization.load_pem_private_key(key.read_bytes(), password=None)):
        yield "does not belong to its key"
    if ends(first) < soon:
        yield SOON


def access_problems(folder: Path, certificate: str, key: str) -> Iterator[str]:
    """Where something is open to others, or closed to those who have to read it."""
    for path, right in ((folder, 0o755), (folder / certificate, 0o644), (folder / key, 0o600)):
        if access(path) != (0, right):
            yield f"{path} has another owner or mode"


class Look:
    """One look at a host.

    Args:
        directory: holds the authority and a directory an app.
        soon: what ends before that ends too soon.
    """

    def __init__(self, directory: Path, soon: dt.datetime) -> None:
        self._directory, self._soon = directory, soon

    def authority(self) -> Iterator[str]:
        folder = self._directory / AUTHORITY
        yield from access_problems(folder, "certificate.pem", "key.pem")
        yield from pair_problems(folder / "certificate.pem", folder / "key.pem", self._soon)

    def selfsigned(self, app: str, domains: list[str]) -> Iterator[str]:
        """What is wrong with a certificate that the authority here has signed."""
        store = Store(self._directory, app)
        if store.serving() != "selfsigned":
            yield "is not what is served"
            return
        certificate = load_chain(store.certificate.read_bytes())[0]
        if names(certificate) != domains:
            yield "is for other domains"
        authority = load_chain((self._directory / AUTHORITY / "certificate.pem").read_bytes())[0]
        if not issued_by(certificate, authority):
            yield "was signed by another authority"
        yield from access_problems(store.path / "selfsigned", CERTIFICATE, KEY)
        yield from pair_problems(store.certificate, store.key, self._soon)

    def acme(self, app: str, domains: list[str], url: str, now: dt.datetime) -> Iterator[str]:
        """What is wrong with a certificate that an ACME authority has given. When to renew it, its timer knows."""
        store = Store(self._directory, app)
        if not store.serving().startswith("acme-"):
            yield "is still to be asked for"
            return
        if store.origin() != url:
            yield f"came from {store.origin()}"
        if set(names(load_chain(store.certificate.read_bytes())[0])) != set(domains):
            yield "is for other domains"
        if not store.private():
            yield "has a key that others could read"
        yield from pair_problems(store.certificate, store.key, now)


def told(problems: Iterable[str]) -> list[str]:
    """The problems, one of which may be that nothing can be read."""
    try:
        return list(problems)
    except (OSError, ValueError, TypeError, IndexError) as error:
        return [f"cannot be read: {error}"]


def look(options: dict[str, Any], now: dt.datetime) -> dict[str, list[str]]:
    """What is wrong with the authority and each certificate; those that are right are left out."""
    url, host = options["acme_directory"], Look(Path(options["directory"]), now + dt.timedelta(days=options["days"]))
    found = {app: told(host.acme(app, domains, url, now)) for app, domains in options["acme"].items()}
    if options["selfsigned"]:
        authority = told(host.authority())
        found[AUTHORITY] = authority
        for app, domains in options["selfsigned"].items():
            # What another authority has signed is worth nothing.
            found[app] = ["its authority is to be made"] if authority else told(host.selfsigned(app, domains))
    return {name: problems for name, problems in found.items() if problems}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "selfsigned": {"type": "dict", "default": {}},
            "days": {"type": "int", "default": 30},
            "acme": {"type": "dict", "default": {}},
            "acme_directory": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params
    if HAS_CRYPTOGRAPHY:
        problems = look(options, dt.datetime.now(dt.UTC))
    else:
        wanted = [*([AUTHORITY] if options["selfsigned"] else []), *options["selfsigned"], *options["acme"]]
        problems = {name: ["cannot be looked at without python3-cryptography"] for name in wanted}
    authority = Path(options["directory"]) / AUTHORITY / "certificate.pem"
    module.exit_json(
        changed=False,
        problems=problems,
        renew=[name for name, found in problems.items() if SOON in found],
        authority=authority.read_text() if authority.exists() else "",
        client=shutil.which("certbot") is not None,
        configured=sorted(path.stem for path in CONFIGURED.glob("*.toml")),
        timers=sorted(path.stem.removeprefix(TIMER) for path in WANTED.glob(f"{TIMER}*.timer")),
    )


if __name__ == "__main__":
    main()
