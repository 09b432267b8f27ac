"""Whether a certificate with its chain and a key may be given to a web server.

Used on the controller, in modules and by the program that renews: with Debian 12's library as with the newest.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

if TYPE_CHECKING:
    # Debian 12's library has other names for them.
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes

# OpenSSL refuses shorter ones at the security level that Debian sets.
SHORTEST_RSA_KEY = 2048
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

# Which of the two is wrong, and how.
Problems = Iterator[tuple[str, str]]


def load_chain(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file, in its order.

    Raises:
        ValueError: one of them is none.
    """
    return [x509.load_pem_x509_certificate(block) for block in _BLOCK.findall(pem)]


def starts(certificate: x509.Certificate) -> dt.datetime:
    """When it begins to be valid; Debian 12's library knows that only without a time zone."""
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc
    return certificate.not_valid_before.replace(tzinfo=dt.UTC)


def ends(certificate: x509.Certificate) -> dt.datetime:
    """When it ends."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=dt.UTC)


def names(certificate: x509.Certificate) -> list[str]:
    """The domains that it is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def covers(name: str, domain: str) -> bool:
    """Whether a name in a certificate stands for a domain; a wildcard does for exactly one label."""
    name, domain = name.lower(), domain.lower()
    return name == domain or (name.startswith("*.") and name[2:] == domain.partition(".")[2])


def belong(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Whether a private key is the certificate's."""
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def _verify(public: CertificatePublicKeyTypes, certificate: x509.Certificate) -> None:
    signature, signed, algorithm = (
        certificate.signature,
        certificate.tbs_certificate_bytes,
        certificate.signature_hash_algorithm,
    )
    if isinstance(public, ec.EllipticCurvePublicKey) and algorithm:
        public.verify(signature, signed, ec.ECDSA(algorithm))
    elif isinstance(public, rsa.RSAPublicKey) and algorithm:
        public.verify(signature, signed, padding.PKCS1v15(), algorithm)
    elif isinstance(public, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        public.verify(signature, signed)
    else:
        raise InvalidSignature


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether one certificate was signed by another one's key."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        _verify(issuer.public_key(), certificate)
    except InvalidSignature:
        return False
    return True


def called(certificate: x509.Certificate) -> str:
    """What to call it in a message."""
    return certificate.subject.rfc4514_string() or ", ".join(names(certificate)) or "a certificate without a name"


def problems(chain: bytes, key: bytes, domains: Sequence[str], now: dt.datetime) -> Problems:
    """All that speaks against serving `domains` with a certificate, its chain and its key, all PEM.

    Yields:
        `certificate` or `key`, and what is wrong with it; never what the key is.
    """
    try:
        certificates = load_chain(chain)
    except ValueError as error:
        yield "certificate", f"cannot be read: {error}"
        return
    if not certificates:
        yield "certificate", "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
        return
    yield from _chain_problems(certificates, now)
    yield from _name_problems(certificates[0], domains)
    yield from _key_problems(certificates, key)


def _chain_problems(certificates: list[x509.Certificate], now: dt.datetime) -> Problems:
    for certificate in certificates:
        if ends(certificate) <= now:
            yield "certificate", f"{called(certificate)} ended on {ends(certificate):%Y-%m-%d %H:%M} UTC"
        if starts(certificate) > now:
            yield "certificate", f"{called(certificate)} is valid only from {starts(certificate):%Y-%m-%d %H:%M} UTC on"
    for certificate, issuer in itertools.pairwise(certificates):
        if not issued_by(certificate, issuer):
            rule = "the app's own comes first, then the one that signed it, and so on"
            order = " / ".join(map(called, certificates))
            yield "certificate", f"has its certificates in a wrong order ({rule}): {order}"
            return


def _name_problems(certificate: x509.Certificate, domains: Sequence[str]) -> Problems:
    found = names(certificate)
    missing = [domain for domain in domains if not any(covers(name, domain) for name in found)]
    if missing:
        yield "certificate", f"is not for {', '.join(missing)}, but for {', '.join(found) or 'no domain at all'}"


def _key_problems(certificates: list[x509.Certificate], pem: bytes) -> Problems:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        yield "key", "has a passphrase, which nobody could type when nginx starts; take it off, and encrypt it by vault"
        return
    except ValueError:
        # The library's words may quote what it read.
        yield "key", "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)"
        return
    if not belong(certificates[0], key):
        other = [called(certificate) for certificate in certificates[1:] if belong(certificate, key)]
        hint = f"; it belongs to {other[0]}, which has to come first" if other else ""
        yield "key", f"does not belong to the first certificate, {called(certificates[0])}{hint}"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < SHORTEST_RSA_KEY:
        yield "key", f"is an RSA key of {key.key_size} bits, and nginx takes none below {SHORTEST_RSA_KEY}"
