"""Authorities and what they sign, made on the spot."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)
PEM = serialization.Encoding.PEM
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def key_text(key: Key, passphrase: str = "") -> str:
    """A private key in PEM form."""
    hidden = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, hidden).decode()


@dataclass(frozen=True)
class Leaf:
    """A certificate for domains, in PEM form without its chain, and its key."""

    certificate: str
    key: str


class Authority:
    """A certificate authority, a root or one below another.

    Args:
        name: its common name.
        parent: who signs it; nobody else for a root.
        bits: of its RSA key; 0 for one on P-256.
    """

    def __init__(self, name: str = "Root", parent: Authority | None = None, bits: int = 0) -> None:
        self.name, self._parent = name, parent or self
        self._key: Key = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1())
        self.text = self._parent.sign(name, [], self._key, NOW - dt.timedelta(days=1), NOW + dt.timedelta(days=999))
        self.key = key_text(self._key)

    def leaf(
        self, domains: list[str], *, starts: float = -1, ends: float = 89, key: Key | None = None, bits: int = 0
    ) -> Leaf:
        """A certificate that is valid from and to so many days from now."""
        made: Key = key or (rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1()))
        first, last = NOW + dt.timedelta(days=starts), NOW + dt.timedelta(days=ends)
        return Leaf(self.sign(domains[0], domains, made, first, last), key_text(made))

    def sign(self, subject: str, domains: list[str], key: Key, first: dt.datetime, last: dt.datetime) -> str:
        """A certificate in PEM form."""

        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        serial = x509.random_serial_number()
        builder = x509.CertificateBuilder(named(self.name), named(subject), key.public_key(), serial, first, last)
        builder = builder.add_extension(x509.BasicConstraints(not domains, None), critical=True)
        if domains:
            alternative = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(PEM).decode()
