"""Something for nginx to start with: it takes no configuration without certificates, and no nginx, no certificate."""

from __future__ import annotations

import datetime as dt

from certificate_pairs import load_chain, problems, starts
from certificate_store import Store
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from settings import Settings

LIFETIME = dt.timedelta(days=30)


def usable(store: Store) -> bool:
    """Whether nginx can start with what is there; expired or for other domains, it can."""
    try:
        certificate, key = store.certificate.read_bytes(), store.key.read_bytes()
        now = starts(load_chain(certificate)[0])
    except (OSError, ValueError, IndexError):
        return False
    return bool(store.serving()) and not any(part == "key" for part, _ in problems(certificate, key, [], now))


def place(settings: Settings, now: dt.datetime) -> bool:
    """Put a certificate that nobody signed where there is none that works; whether it did."""
    store = Store(settings.certificates, settings.app)
    if usable(store):
        return False
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "none yet")]),
    )
    alternative = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in settings.domains])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + LIFETIME)
    certificate = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    store.put(f"placeholder-{now:%Y%m%dT%H%M%SZ}", certificate.public_bytes(pem), key.private_bytes(pem, *form), "")
    store.prune()
    return True
