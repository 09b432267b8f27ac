"""Asking the authority, by way of certbot: it speaks the protocol, and here it does nothing else.

It is given a request and hands back a chain. Keys, due dates and files in place are ours, so that nothing of certbot's
own, such as its timer or its fixed 30 days, decides when a certificate is renewed.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from settings import Settings

# What it says besides the reason: of its log, which is not kept, and of options that only we gave.
_NOISE = (
    "Saving debug log to",
    "Ask for help or search for solutions",
    "See the logfile",
    "Some challenges have failed",
    "Requesting a certificate for",
    "Hint: The Certificate Authority failed to download",
)
# What Debian 12's says where it trips over an error of the authority's while it reports it.
_TRIPPED = ("An unexpected error occurred:", "AttributeError: can't set attribute")
# An authority may refuse a token that it has just given; certbot asks once more, and then gives up.
_STALE, _ATTEMPTS = "urn:ietf:params:acme:error:badNonce", 3


class RefusedError(Exception):
    """The authority gave nothing; the message is its own."""


def _request(domains: list[str]) -> tuple[bytes, bytes]:
    """A new key on P-256 and a request for its certificate, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    alternative = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(alternative, False)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, *form), builder.sign(key, hashes.SHA256()).public_bytes(pem)


def _certbot(settings: Settings, *arguments: str) -> None:
    own = settings.state / settings.app
    command = ["certbot", *arguments, "--non-interactive", "--agree-tos", "--server", settings.directory]
    command += ["--email", settings.email] if settings.email else ["--register-unsafely-without-email"]
    trusted = {"REQUESTS_CA_BUNDLE": settings.authorities} if settings.authorities else {}
    with tempfile.TemporaryDirectory(dir=own) as logs:
        command += ["--config-dir", str(own / "config"), "--work-dir", str(own / "work"), "--logs-dir", logs]
        result = subprocess.run(
            command, env=os.environ | trusted, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if result.returncode:
            raise RefusedError(_reason(result.stdout, Path(logs)) or f"certbot ended with {result.returncode}")


def _reason(said: str, logs: Path) -> str:
    """Why certbot failed, in the authority's words: from its log where it did not say them."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith(_NOISE)]
    text = "".join(path.read_text(errors="replace") for path in logs.glob("*.log"))
    words = dict.fromkeys(re.findall(r"^acme\.messages\.Error: (.+)$", text, re.MULTILINE))
    unsaid = [line for line in words if line.rpartition(" :: ")[2] not in said]
    if unsaid:
        lines = [line for line in lines if line not in _TRIPPED]
    return "\n".join([*lines, *unsaid])


def _account(settings: Settings) -> None:
    """Have an account, one for all apps: authorities count them. Two apps that begin together make only one."""
    accounts, config = settings.state / "accounts", settings.state / settings.app / "config"
    for folder in (accounts, config):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    shared = config / "accounts"
    if not shared.is_symlink():
        shared.symlink_to(os.path.relpath(accounts, config))
    with (settings.state / "accounts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        url = urlsplit(settings.directory)
        if not list((accounts / f"{url.netloc}{url.path}").glob("*/regr.json")):
            _certbot(settings, "register")


def ask(settings: Settings) -> tuple[bytes, bytes]:
    """A new certificate with its chain, and its new key, both PEM.

    Raises:
        RefusedError: the authority gave none, or cannot be reached.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return _ask(settings)
        except RefusedError as error:
            if _STALE not in str(error):
                raise
    return _ask(settings)


def _ask(settings: Settings) -> tuple[bytes, bytes]:
    key, request = _request(settings.domains)
    _account(settings)
    with tempfile.TemporaryDirectory(dir=settings.state / settings.app) as temporary:
        folder = Path(temporary)
        (folder / "request.pem").write_bytes(request)
        files = {"--cert-path": "certificate.pem", "--chain-path": "chain.pem", "--fullchain-path": "fullchain.pem"}
        _certbot(
            settings, "certonly", "--csr", str(folder / "request.pem"),
            "--webroot", "--webroot-path", str(settings.challenges),
            *(word for option, name in files.items() for word in (option, str(folder / name))),
        )  # fmt: skip
        return (folder / "fullchain.pem").read_bytes(), key
