"""Which certificates a run has to make: everything that is wrong with one is noticed, and nothing else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import ModuleType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)
SOON = NOW + dt.timedelta(days=30)
WANTED = {"shop": ["shop.example.com", "www.shop.example.com"]}


class Authority:
    """A certificate authority below `root`, and what it signs."""

    def __init__(self, root: Path) -> None:
        self.root, self.key, self.name = root, ec.generate_private_key(ec.SECP256R1()), "Authority"
        self.sign("authority/certificate.pem", "authority/key.pem", self.key, [])

    def leaf(self, domains: list[str], days: int = 300) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.sign("shop/fullchain.pem", "shop/privkey.pem", key, domains, days=days)

    def sign(
        self, file: str, key_file: str, key: ec.EllipticCurvePrivateKey, domains: list[str], *, days: int = 300
    ) -> None:
        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        builder = x509.CertificateBuilder(
            named(self.name), named(domains[0] if domains else self.name), key.public_key(), 1
        )
        builder = builder.not_valid_before(NOW).not_valid_after(NOW + dt.timedelta(days=days))
        if domains:
            alternative = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
            builder = builder.add_extension(alternative, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        self.write(file, 0o644, certificate.public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.write(key_file, 0o600, key.private_bytes(serialization.Encoding.PEM, *form))

    def write(self, name: str, mode: int, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.leaf(WANTED["shop"])
    return made


@pytest.fixture(autouse=True)
def _whoever_runs_the_tests_owns_the_files(signed_certificates: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    found = signed_certificates.access
    monkeypatch.setattr(signed_certificates, "access", lambda path: (0, found(path)[1]))


def test_what_is_right_is_left_alone(signed_certificates: ModuleType, authority: Authority) -> None:
    assert signed_certificates.look(authority.root, WANTED, SOON) == {}


@pytest.mark.parametrize("domains", [["shop.example.com"], ["www.shop.example.com", "shop.example.com"]])
def test_other_domains_are_noticed(signed_certificates: ModuleType, authority: Authority, domains: list[str]) -> None:
    assert signed_certificates.look(authority.root, {"shop": domains}, SOON) == {"shop": ["is for other domains"]}


def test_an_end_within_a_month_is_noticed(signed_certificates: ModuleType, authority: Authority) -> None:
    authority.leaf(WANTED["shop"], days=29)
    assert signed_certificates.look(authority.root, WANTED, SOON) == {"shop": [signed_certificates.SOON]}


def test_a_missing_certificate_is_noticed(signed_certificates: ModuleType, authority: Authority) -> None:
    (authority.root / "shop" / "fullchain.pem").unlink()
    assert "cannot be read" in signed_certificates.look(authority.root, WANTED, SOON)["shop"][0]


def test_nonsense_is_noticed(signed_certificates: ModuleType, authority: Authority) -> None:
    (authority.root / "shop" / "privkey.pem").write_text("no key")
    assert "cannot be read" in signed_certificates.look(authority.root, WANTED, SOON)["shop"][0]


def test_an_open_key_is_noticed(signed_certificates: ModuleType, authority: Authority) -> None:
    (authority.root / "shop" / "privkey.pem").chmod(0o640)
    assert "mode" in signed_certificates.look(authority.root, WANTED, SOON)["shop"][0]


def test_another_key_is_noticed(signed_certificates: ModuleType, authority: Authority) -> None:
    key = (authority.root / "authority" / "key.pem").read_bytes()
    (authority.root / "shop" / "privkey.pem").write_bytes(key)
    assert signed_certificates.look(authority.root, WANTED, SOON) == {"shop": ["does not belong to its key"]}


def test_another_authority_is_noticed(signed_certificates: ModuleType, authority: Authority) -> None:
    Authority(authority.root)
    assert signed_certificates.look(authority.root, WANTED, SOON) == {"shop": ["was signed by another authority"]}
