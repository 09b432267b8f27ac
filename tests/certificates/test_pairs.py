"""What may be served: everything that is wrong with a certificate and its key is noticed, and said."""

from __future__ import annotations

import datetime as dt

import pytest
from certificate_pairs import covers, ends, load_chain, problems, starts
from cryptography.hazmat.primitives.asymmetric import ec

from tests.certificates.pki import NOW, Authority, Leaf, key_text

SHOP = ["shop.example.com", "www.shop.example.com"]
ROOT = Authority("Root")
MIDDLE = Authority("Middle", ROOT)
GOOD = MIDDLE.leaf(SHOP)


def wrong(certificate: str, key: str, domains: list[str] = SHOP) -> str:
    return "\n".join(f"{part}: {text}" for part, text in problems(certificate.encode(), key.encode(), domains, NOW))


@pytest.mark.parametrize(
    ("chain", "key"),
    [
        (GOOD.certificate, GOOD.key),
        (GOOD.certificate + MIDDLE.text, GOOD.key),
        (GOOD.certificate + MIDDLE.text + ROOT.text, GOOD.key),
        ("a remark\n" + GOOD.certificate + "another\n" + MIDDLE.text, GOOD.key),
    ],
)
def test_what_is_right_passes(chain: str, key: str) -> None:
    assert wrong(chain, key) == ""


def test_rsa_passes_too() -> None:
    authority = Authority("RSA", bits=2048)
    leaf = authority.leaf(SHOP, bits=2048)
    assert wrong(leaf.certificate + authority.text, leaf.key) == ""


def test_a_wildcard_covers_one_label() -> None:
    leaf = ROOT.leaf(["shop.example.com", "*.shop.example.com"])
    assert wrong(leaf.certificate, leaf.key) == ""
    assert covers("*.example.com", "shop.example.com")
    assert not covers("*.example.com", "example.com")
    assert not covers("*.example.com", "www.shop.example.com")


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [
        ("", GOOD.key, "certificate: holds no certificate in PEM form"),
        (GOOD.key, GOOD.key, "certificate: holds no certificate in PEM form"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", GOOD.key, "certificate: cannot be read"),
        (MIDDLE.text + GOOD.certificate, GOOD.key, "certificate: has its certificates in a wrong order"),
        (GOOD.certificate + ROOT.text, GOOD.key, "certificate: has its certificates in a wrong order"),
        (GOOD.certificate + MIDDLE.text + GOOD.certificate, GOOD.key, "CN=shop.example.com / CN=Middle / CN=shop.ex"),
        (MIDDLE.text + GOOD.certificate, GOOD.key, "belongs to CN=shop.example.com, which has to come first"),
        (GOOD.certificate, ROOT.key, "key: does not belong to the first certificate, CN=shop.example.com"),
        (GOOD.certificate, "", "key: holds no private key"),
        (GOOD.certificate, GOOD.certificate, "key: holds no private key"),
        (GOOD.certificate, key_text(ec.generate_private_key(ec.SECP256R1()), "x"), "key: has a passphrase"),
    ],
)
def test_what_is_wrong_is_said(certificate: str, key: str, told: str) -> None:
    assert told in wrong(certificate, key)


@pytest.mark.parametrize(
    ("leaf", "told"),
    [
        (ROOT.leaf(SHOP, starts=-9, ends=-1), f"CN=shop.example.com ended on {NOW - dt.timedelta(1):%Y-%m-%d}"),
        (ROOT.leaf(SHOP, starts=1), "is valid only from"),
        (ROOT.leaf(["shop.example.com"]), "is not for www.shop.example.com, but for shop.example.com"),
        (ROOT.leaf(["other.example.com"]), "is not for shop.example.com, www.shop.example.com, but for other.ex"),
        (ROOT.leaf(SHOP, bits=1024), "key: is an RSA key of 1024 bits"),
    ],
)  # fmt: skip
def test_what_a_certificate_lacks_is_said(leaf: Leaf, told: str) -> None:
    assert told in wrong(leaf.certificate, leaf.key)


def test_an_issuer_of_the_same_name_is_not_the_issuer() -> None:
    assert "wrong order" in wrong(GOOD.certificate + Authority("Middle").text, GOOD.key)


def test_a_chain_that_has_ended_is_noticed() -> None:
    (certificate,) = load_chain(GOOD.certificate.encode())
    later = ends(load_chain(MIDDLE.text.encode())[0])
    told = [text for _, text in problems((GOOD.certificate + MIDDLE.text).encode(), GOOD.key.encode(), SHOP, later)]
    assert [text.partition(" ended")[0] for text in told] == ["CN=shop.example.com", "CN=Middle"]
    assert starts(certificate) < ends(certificate)


@pytest.mark.parametrize("key", [GOOD.key[:-60], GOOD.key.replace("BEGIN", "BEGUN"), "s3cret"])
def test_no_key_is_shown(key: str) -> None:
    assert key[40:60] not in wrong(GOOD.certificate, key) or key == "s3cret"
    assert "s3cret" not in wrong(GOOD.certificate, key)
