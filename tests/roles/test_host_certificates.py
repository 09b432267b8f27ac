"""Which certificates a run has to make: everything that is wrong with one is noticed, and nothing else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from certificate_store import Store
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)
WANTED = {"shop": ["shop.example.com", "www.shop.example.com"]}


class Authority:
    """A certificate authority below `root`, and what it signs."""

    def __init__(self, root: Path) -> None:
        self.root, self.key, self.name = root, ec.generate_private_key(ec.SECP256R1()), "Authority"
        self.sign("authority/certificate.pem", "authority/key.pem", self.key, [])

    def leaf(self, domains: list[str], days: int = 300) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.sign("shop/selfsigned/fullchain.pem", "shop/selfsigned/privkey.pem", key, domains, days=days)

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
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.leaf(WANTED["shop"])
    Store(tmp_path, "shop").switch("selfsigned")
    return made


@pytest.fixture(autouse=True)
def _whoever_runs_the_tests_owns_the_files(host_certificates: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    found = host_certificates.access
    monkeypatch.setattr(host_certificates, "access", lambda path: (0, found(path)[1]))


def look(
    module: ModuleType, authority: Authority, selfsigned: dict[str, list[str]] = WANTED, **options: Any
) -> dict[str, list[str]]:
    given = {"directory": authority.root, "days": 30, "selfsigned": selfsigned, "acme": {}, "acme_directory": ""}
    return dict(module.look(given | options, NOW))


def test_what_is_right_is_left_alone(host_certificates: ModuleType, authority: Authority) -> None:
    assert look(host_certificates, authority) == {}


@pytest.mark.parametrize("domains", [["shop.example.com"], ["www.shop.example.com", "shop.example.com"]])
def test_other_domains_are_noticed(host_certificates: ModuleType, authority: Authority, domains: list[str]) -> None:
    assert look(host_certificates, authority, {"shop": domains}) == {"shop": ["is for other domains"]}


def test_an_end_within_a_month_is_noticed(host_certificates: ModuleType, authority: Authority) -> None:
    authority.leaf(WANTED["shop"], days=29)
    assert look(host_certificates, authority) == {"shop": [host_certificates.SOON]}


def test_a_missing_certificate_is_noticed(host_certificates: ModuleType, authority: Authority) -> None:
    (authority.root / "shop" / "selfsigned" / "fullchain.pem").unlink()
    assert "cannot be read" in look(host_certificates, authority)["shop"][0]


def test_nonsense_is_noticed(host_certificates: ModuleType, authority: Authority) -> None:
    (authority.root / "shop" / "privkey.pem").write_text("no key")
    assert "cannot be read" in look(host_certificates, authority)["shop"][0]


def test_an_open_key_is_noticed(host_certificates: ModuleType, authority: Authority) -> None:
    (authority.root / "shop" / "privkey.pem").chmod(0o640)
    assert "mode" in look(host_certificates, authority)["shop"][0]


def test_another_key_is_noticed(host_certificates: ModuleType, authority: Authority) -> None:
    key = (authority.root / "authority" / "key.pem").read_bytes()
    (authority.root / "shop" / "privkey.pem").write_bytes(key)
    assert look(host_certificates, authority) == {"shop": ["does not belong to its key"]}


def test_another_authority_is_noticed(host_certificates: ModuleType, authority: Authority) -> None:
    Authority(authority.root)
    assert look(host_certificates, authority) == {"shop": ["was signed by another authority"]}


def test_another_mode_s_certificate_is_noticed(host_certificates: ModuleType, authority: Authority) -> None:
    shop = authority.root / "shop"
    (shop / "selfsigned").rename(shop / "files-1")
    Store(authority.root, "shop").switch("files-1")
    assert look(host_certificates, authority) == {"shop": ["is not what is served"]}


def test_without_an_app_of_its_own_the_authority_is_not_missed(
    host_certificates: ModuleType, authority: Authority, tmp_path: Path
) -> None:
    authority.root = tmp_path / "bare"
    assert look(host_certificates, authority, {}) == {}


URL = "https://acme.example.com/directory"


@pytest.fixture
def given(authority: Authority) -> Store:
    store = Store(authority.root, "shop")
    store.put("acme-1", store.certificate.read_bytes(), store.key.read_bytes(), URL)
    return store


def acme(module: ModuleType, authority: Authority, url: str = URL, domains: list[str] = WANTED["shop"]) -> list[str]:
    return look(module, authority, {}, acme={"shop": domains}, acme_directory=url).get("shop", [])


@pytest.mark.usefixtures("given")
def test_what_an_authority_gave_is_left_to_its_timer(host_certificates: ModuleType, authority: Authority) -> None:
    assert acme(host_certificates, authority) == []
    assert acme(host_certificates, authority, domains=WANTED["shop"][::-1]) == []


def test_what_no_timer_could_mend_is_asked_for(
    host_certificates: ModuleType, authority: Authority, given: Store
) -> None:
    assert acme(host_certificates, authority, url="https://other.example.com/") == [f"came from {URL}"]
    assert acme(host_certificates, authority, domains=["shop.example.com"]) == ["is for other domains"]
    given.key.chmod(0o640)
    assert acme(host_certificates, authority) == ["has a key that others could read"]
    given.switch("selfsigned")
    assert acme(host_certificates, authority) == ["is still to be asked for"]
