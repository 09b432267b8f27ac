"""How an app logs in to PostgreSQL on another host, and whoever restores its data.

Each password has a login of its own, whose name follows from it. So a new password is a new login, and while a release
is switched to that has it, the old one is good for the release that serves.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
from urllib.parse import quote

# Where the app's hosts have the certificates of the authorities that the servers' are signed by.
AUTHORITIES = "/etc/slipway/postgresql/authorities.pem"
# PostgreSQL's own number for what it keeps.
_ROUNDS = 4096
# A login's name is there for all to see, and must not help in guessing.
_NAME_ROUNDS = 20_000


@functools.cache
def login(app: str, password: str) -> str:
    """The name of the login that has this password."""
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), f"slipway login {app}".encode(), _NAME_ROUNDS)
    return f"{app}_{digest.hex()[:8]}"


@functools.cache
def verifier(app: str, password: str) -> str:
    """What the server keeps of the password, for SCRAM (RFC 5802, RFC 7677): it tells who has it."""
    salt = hashlib.pbkdf2_hmac("sha256", password.encode(), f"slipway salt {app}".encode(), _ROUNDS)[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ROUNDS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def address(app: str, host: str, password: str) -> str:
    """Where the app finds its database, in SQLAlchemy's words; nobody between the two can read along or pass for it."""
    place = f"[{host}]" if ":" in host else host
    who = f"{login(app, password)}:{quote(password, safe='')}"
    return f"postgresql+psycopg://{who}@{place}:5432/{app}?sslmode=verify-full&sslrootcert={AUTHORITIES}"


def restorer(app: str) -> str:
    """What takes the app's place in the name of the login that restores its data; no app's name has a dot."""
    return f"{app}.restore"


def restore_password(app: str, repository: str) -> str:
    """What that login has, from the password of the backups' repository: no other secret is to be kept.

    The host derives the same, from its copy of it: roles/release/files/slipway/data/credentials.py.
    """
    return hmac.digest(repository.strip().encode(), f"slipway database restore {app}".encode(), "sha256").hex()
