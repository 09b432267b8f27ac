#!/usr/bin/python
# Copyright: the Slipway contributors
"""Looks at an authority of the host's own and at what it has signed, in one round trip."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: signed_certificates
short_description: Say which certificates have to be made
description:
  - Looks at the authority in O(directory) and at the certificates below it, and says what is wrong with which. Making
    them takes several modules for each; where nothing is to be made, this one look is all.
options:
  directory:
    description: Holds C(authority/key.pem) and C(authority/certificate.pem), and a directory for each certificate.
    type: path
    required: true
  certificates:
    description: The domains that each certificate is for, by the name of its directory.
    type: dict
    required: true
  days:
    description: A certificate that ends within so many days has to be renewed.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: It changes nothing.
author:
  - The Slipway contributors
"""

EXAMPLES = r"""
- name: Look which certificates there are
  signed_certificates:
    directory: /etc/ssl/slipway
    certificates: {shop: [shop.example.com, www.shop.example.com]}
"""

RETURN = r"""
problems:
  description: What is wrong, by the name of the certificate; the authority's is C(authority).
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
"""

import datetime as dt
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True

SOON = "ends soon"


def access(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, stat.S_IMODE(found.st_mode)


def end(certificate: x509.Certificate) -> dt.datetime:
    """When it ends; Debian 12's library knows that only without a time zone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return certificate.not_valid_after.replace(tzinfo=dt.UTC)


def same_key(certificate: x509.Certificate, key: Path) -> bool:
    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    public, algorithm = authority.public_key(), certificate.signature_hash_algorithm
    if not isinstance(public, ec.EllipticCurvePublicKey) or algorithm is None:
        return False
    try:
        public.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return certificate.issuer == authority.subject


def pair_problems(folder: Path, file: str, key: str, soon: dt.datetime) -> Iterator[str]:
    """What is wrong with a certificate and its key, whatever it is for."""
    for path, right in ((folder, 0o755), (folder / file, 0o644), (folder / key, 0o600)):
        if access(path) != (0, right):
            yield f"{path} has another owner or mode"
    certificate = load(folder / file)
    if not same_key(certificate, folder / key):
        yield "does not belong to its key"
    if end(certificate) < soon:
        yield SOON


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def look(directory: Path, wanted: dict[str, list[str]], soon: dt.datetime) -> dict[str, list[str]]:
    """What is wrong with the authority and each certificate; those that are right are left out."""

    def problems(name: str) -> Iterator[str]:
        if name == "authority":
            yield from pair_problems(directory / name, "certificate.pem", "key.pem", soon)
            return
        certificate = load(directory / name / "fullchain.pem")
        if names(certificate) != wanted[name]:
            yield "is for other domains"
        if not signed_by(certificate, load(directory / "authority" / "certificate.pem")):
            yield "was signed by another authority"
        yield from pair_problems(directory / name, "fullchain.pem", "privkey.pem", soon)

    found = {}
    for name in ("authority", *wanted):
        try:
            found[name] = list(problems(name))
        except (OSError, ValueError, TypeError) as error:
            found[name] = [f"cannot be read: {error}"]
    return {name: problem for name, problem in found.items() if problem}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "certificates": {"type": "dict", "required": True},
            "days": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    directory, wanted = Path(module.params["directory"]), module.params["certificates"]
    if HAS_CRYPTOGRAPHY:
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=module.params["days"])
        problems = look(directory, wanted, soon)
    else:
        problems = {name: ["cannot be looked at without python3-cryptography"] for name in ("authority", *wanted)}
    if "authority" in problems:
        # What another authority has signed is worth nothing.
        problems = {**{name: ["its authority is to be made"] for name in wanted}, **problems}
    authority = directory / "authority" / "certificate.pem"
    module.exit_json(
        changed=False,
        problems=problems,
        renew=[name for name, found in problems.items() if SOON in found],
        authority=authority.read_text() if authority.exists() else "",
    )


if __name__ == "__main__":
    main()
