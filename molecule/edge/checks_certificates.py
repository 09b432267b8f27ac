"""Certificates: had from an authority, renewed under load, kept where there is no better one, brought, removed."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from molecule.shared.waiting import until

from .visitors import Visitors, served

# Shared with the fast tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.certificates.pki import Authority

HERE = Path(__file__).resolve().parent

pytestmark = pytest.mark.usefixtures("certified")
HELLO, BOOK = "hello.localhost", "guestbook.localhost"
DNS = "http://127.0.0.1:8055"
SETTINGS = "/etc/slipway/certificates/hello.toml"
# Where nobody is: from TEST-NET-3, which the test VPS is told to have no way to.
NOWHERE = "203.0.113.9"


def unit(app: str) -> str:
    return f"slipway-certificate@{app}.service"


def renew(vps: Any, app: str) -> bool:
    """Start what the timer starts; whether it went well."""
    return bool(vps.run("sh", "-c", f"systemctl start {unit(app)} 2>&- && echo well", check=False))


def said(vps: Any, app: str) -> str:
    """What the last renewal of an app said."""
    last = vps.run("systemctl", "show", "-P", "InvocationID", unit(app))
    return str(vps.run("journalctl", "-o", "cat", "--no-pager", f"_SYSTEMD_INVOCATION_ID={last}"))


def failed(vps: Any) -> list[str]:
    return [line.split()[0] for line in vps.run("systemctl", "--failed", "--plain", "--no-legend").splitlines()]


def serial(vps: Any, domain: str) -> int:
    return served(vps, domain).serial_number


def replaced(vps: Any, domain: str, before: int) -> bool:
    """Whether visitors of a domain get another certificate; for a moment nginx's old workers answer beside the new."""
    return bool(
        until(lambda: before not in {serial(vps, domain) for _ in range(8)}, f"{domain} has another certificate")
    )


def names(certificate: x509.Certificate) -> list[str]:
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return alternative.value.get_values_for_type(x509.DNSName)


def workers(vps: Any) -> set[str]:
    """nginx's workers: a reload replaces them."""
    return set(vps.run("sh", "-c", "pgrep -P $(cat /run/nginx.pid)").split())


def dns(vps: Any, call: str, **values: Any) -> None:
    """Have the DNS answer something else."""
    ask = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], sys.argv[2].encode()).read()"
    vps.run("python3", "-c", ask, f"{DNS}/{call}", json.dumps(values))


@contextlib.contextmanager
def days_later(vps: Any, app: str, days: int) -> Iterator[None]:
    """Have an app's renewal believe that so many days have passed."""
    folder = f"/run/systemd/system/{unit(app)}.d"
    library = vps.run("sh", "-c", "ls /usr/lib/*/faketime/libfaketime.so.1")
    lines = f"[Service]\\nEnvironment=LD_PRELOAD={library} FAKETIME=+{days}d FAKETIME_DISABLE_SHM=1\\n"
    vps.run("sh", "-c", f"mkdir -p {folder}; printf '{lines}' >{folder}/later.conf; systemctl daemon-reload")
    try:
        yield
    finally:
        vps.run("sh", "-c", f"rm -r {folder}; systemctl daemon-reload")


def apps(**tls: dict[str, Any]) -> dict[str, Any]:
    """The scenario's apps, some with another `tls`, or with other keys too."""
    found: dict[str, Any] = yaml.safe_load((HERE / "vars" / "apps.yml").read_text())["apps"]
    for name, changes in tls.items():
        found[name] = found.get(name, found["hello"]) | changes
    return found


def certificates(vps: Any, tmp_path: Path, given: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run what site.yml does about certificates and nginx, for these apps."""
    file = tmp_path / "apps.json"
    file.write_text(json.dumps({"apps": given}))
    done: subprocess.CompletedProcess[str] = vps.playbook(
        "molecule/edge/certificates.yml", "-e", f"@{file}", *arguments
    )
    return done


@pytest.fixture
def _restored(vps: Any, tmp_path: Path) -> Iterator[None]:
    """Whatever a check did, the scenario's own certificates come back."""
    yield
    dns(vps, "clear-a", host=f"{HELLO}.")
    done = certificates(vps, tmp_path, apps())
    assert done.returncode == 0, done.stdout
    assert names(served(vps, HELLO)) == [HELLO]


@pytest.mark.parametrize(("app", "domain"), [("guestbook", BOOK), ("hello", HELLO)])
def test_a_visitor_can_verify_one_certificate_for_all_domains(vps: Any, app: str, domain: str) -> None:
    certificate = served(vps, domain)
    assert sorted(names(certificate)) == sorted(apps()[app]["domains"])
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    for other in apps()[app]["domains"]:
        assert serial(vps, other) == certificate.serial_number


def test_keys_are_root_s_alone(vps: Any) -> None:
    for app in ("guestbook", "hello"):
        assert vps.run("stat", "-Lc", "%a %U %G", f"/etc/ssl/slipway/{app}/privkey.pem") == "600 root root"
    keys = vps.run("sh", "-c", "find /var/lib/slipway/acme -name 'private_key.json' -exec stat -c '%a %U' {} +")
    assert set(keys.splitlines()) == {"400 root"}
    assert vps.run("stat", "-c", "%a %U", "/var/lib/slipway/acme") == "700 root"


def test_all_apps_share_one_account(vps: Any) -> None:
    accounts = "/var/lib/slipway/acme/accounts/localhost:14000"
    assert len(vps.run("find", accounts, "-name", "private_key.json").splitlines()) == 1


def test_each_app_has_a_timer_of_its_own(vps: Any) -> None:
    for app in ("guestbook", "hello"):
        timer = f"slipway-certificate@{app}.timer"
        assert vps.run("systemctl", "is-enabled", timer) == "enabled"
        assert vps.run("systemctl", "is-active", timer) == "active"
        assert vps.run("systemctl", "show", "-P", "RandomizedDelayUSec", timer) == "6h"


@pytest.mark.parametrize("domain", [BOOK, f"www.{BOOK}", HELLO, "not-here-yet.example.com"])
def test_challenges_are_answered_over_plain_http_under_every_name(vps: Any, domain: str) -> None:
    folder = "/var/lib/slipway/challenges/.well-known/acme-challenge"
    vps.run("sh", "-c", f"echo found >{folder}/check")
    try:
        answer = vps.http(domain, "/.well-known/acme-challenge/check")
        assert (answer.status, answer.body) == (200, "found\n")
        assert vps.http(domain, "/.well-known/acme-challenge/other").status == 404
    finally:
        vps.run("rm", f"{folder}/check")


def test_what_is_not_due_is_left_alone(vps: Any) -> None:
    before, serving = serial(vps, HELLO), workers(vps)
    with days_later(vps, "hello", 3):
        assert renew(vps, "hello")
    assert "Nothing to do: it ends on" in said(vps, "hello")
    assert (serial(vps, HELLO), workers(vps)) == (before, serving)


def test_a_renewal_goes_unnoticed_by_visitors(vps: Any) -> None:
    before, other = serial(vps, HELLO), serial(vps, BOOK)
    with days_later(vps, "hello", 5), Visitors(vps, HELLO) as visitors:
        assert renew(vps, "hello"), said(vps, "hello")
        assert replaced(vps, HELLO, before)
        enough = len(visitors.answers) + 200
        until(lambda: len(visitors.answers) >= enough or visitors.failures, "200 more visits")
    assert visitors.failures == []
    assert visitors.serials == {before, serial(vps, HELLO)}
    assert serial(vps, BOOK) == other
    assert "two thirds of its lifetime were over" in said(vps, "hello")
    assert vps.run("sh", "-c", "ls /etc/ssl/slipway/hello | grep -c acme-") == "1"


@contextlib.contextmanager
def wrong_dns(vps: Any) -> Iterator[None]:
    vps.run("ip", "route", "add", "unreachable", NOWHERE)
    dns(vps, "add-a", host=f"{HELLO}.", addresses=[NOWHERE])
    try:
        yield
    finally:
        dns(vps, "clear-a", host=f"{HELLO}.")
        vps.run("ip", "route", "del", "unreachable", NOWHERE)


@contextlib.contextmanager
def another_authority(vps: Any, port: int) -> Iterator[None]:
    vps.run("sed", "-i.kept", f"s/localhost:14000/localhost:{port}/", SETTINGS)
    try:
        yield
    finally:
        vps.run("mv", f"{SETTINGS}.kept", SETTINGS)


@contextlib.contextmanager
def limited(vps: Any) -> Iterator[None]:
    program = base64.b64encode((HERE / "limited.py").read_bytes()).decode()
    vps.run("sh", "-c", f"echo {program} | base64 -d >/run/limited.py")
    vps.run("systemd-run", "--quiet", "--unit=limited", "--property=RuntimeMaxSec=120", "python3", "/run/limited.py")
    try:
        with another_authority(vps, 14002):
            yield
    finally:
        vps.run("systemctl", "stop", "limited")


TROUBLE = [
    (wrong_dns, ["Type:   connection", NOWHERE]),
    (lambda vps: another_authority(vps, 14001), ["localhost", "14001", "Connection refused"]),
    (limited, ["too many certificates (5) already issued for this exact set of domains"]),
]


@pytest.mark.parametrize(("trouble", "words"), TROUBLE, ids=["rejected", "down", "limited"])
def test_an_authority_in_trouble_costs_nobody_anything(vps: Any, trouble: Any, words: list[str]) -> None:
    before, other, serving = serial(vps, HELLO), serial(vps, BOOK), workers(vps)
    with days_later(vps, "hello", 5), days_later(vps, "guestbook", 5), trouble(vps):
        assert not renew(vps, "hello")
        assert unit("hello") in failed(vps)
        for word in [*words, "goes on serving"]:
            assert word in said(vps, "hello")
        assert serial(vps, HELLO) == before
        assert workers(vps) == serving
        assert renew(vps, "guestbook"), said(vps, "guestbook")
        assert replaced(vps, BOOK, other)
    with days_later(vps, "hello", 5):
        assert renew(vps, "hello"), said(vps, "hello")
    assert replaced(vps, HELLO, before)
    assert failed(vps) == []


def test_an_operator_can_have_a_new_one_at_once(vps: Any) -> None:
    before = serial(vps, HELLO)
    vps.run("touch", "/var/lib/slipway/acme/hello/renew")
    assert renew(vps, "hello"), said(vps, "hello")
    assert replaced(vps, HELLO, before)
    after = serial(vps, HELLO)
    assert renew(vps, "hello")
    assert "Nothing to do" in said(vps, "hello")
    assert serial(vps, HELLO) == after


@pytest.mark.usefixtures("_restored")
def test_no_authority_is_asked_for_a_domain_that_leads_elsewhere(vps: Any, tmp_path: Path) -> None:
    before = serial(vps, HELLO)
    dns(vps, "add-a", host=f"{HELLO}.", addresses=["127.0.0.2"])
    more = apps(hello={"domains": [HELLO, "more.localhost"]}, third={"domains": ["third.localhost"]})
    refused = certificates(vps, tmp_path, more)
    assert refused.returncode == 2
    assert f"apps.hello.domains: {HELLO} resolves to 127.0.0.2; 127.0.0.2 does not answer on port" in refused.stdout
    assert f"If that is not {vps.address}, change its A record; if it is, let port 80 through." in refused.stdout
    assert serial(vps, HELLO) == before
    # One app's trouble is not another's.
    assert names(served(vps, "third.localhost")) == ["third.localhost"]
    unchecked = apps(hello={"domains": [HELLO, "more.localhost"], "tls": {"mode": "acme", "check": False}})
    done = certificates(vps, tmp_path, unchecked)
    assert done.returncode == 0, done.stdout
    assert sorted(names(served(vps, "more.localhost"))) == [HELLO, "more.localhost"]


@pytest.mark.usefixtures("_restored")
def test_what_the_authority_refuses_is_told_in_its_words(vps: Any, tmp_path: Path) -> None:
    with wrong_dns(vps):
        more = apps(hello={"domains": [HELLO, "more.localhost"], "tls": {"mode": "acme", "check": False}})
        refused = certificates(vps, tmp_path, more)
    assert refused.returncode == 2, refused.stdout
    assert f"{unit('hello')} said:" in refused.stdout
    assert NOWHERE in refused.stdout
    assert names(served(vps, HELLO)) == [HELLO]


@pytest.mark.usefixtures("_restored")
def test_a_removed_app_leaves_nothing_to_renew(vps: Any, tmp_path: Path) -> None:
    third = {"domains": ["third.localhost"]}
    assert certificates(vps, tmp_path, apps(third=third)).returncode == 0
    assert names(served(vps, "third.localhost")) == ["third.localhost"]
    done = certificates(vps, tmp_path, apps(third=third | {"state": "absent"}))
    assert done.returncode == 0, done.stdout
    places = ["/etc/ssl/slipway", "/etc/slipway", "/var/lib/slipway", "/etc/systemd/system"]
    assert vps.run("find", *places, "-name", "*third*") == ""
    assert "third" not in vps.run("systemctl", "list-units", "--all", "slipway-certificate@*")


def bundle(vps: Any, tmp_path: Path, authority: str) -> str:
    path = tmp_path / "trusted.pem"
    path.write_text(Path(vps.authority).read_text() + authority)
    return str(path)


@pytest.mark.usefixtures("_restored")
def test_a_certificate_of_one_s_own_is_served_once_it_is_right(vps: Any, tmp_path: Path) -> None:
    root = Authority("Root of the seller")
    middle = Authority("Middle of the seller", root)
    good, trusted = middle.leaf([HELLO]), bundle(vps, tmp_path, root.text)
    chain, key = tmp_path / "hello.pem", tmp_path / "hello.key"
    chain.write_text(good.certificate + middle.text)
    key.write_text(good.key)
    plain = apps(hello={"tls": {"mode": "files", "certificate": str(chain), "key": good.key}})
    refused = certificates(vps, tmp_path, plain)
    assert refused.returncode == 2
    assert "apps.hello.tls.key: is a secret in plain text" in refused.stdout
    assert good.key.splitlines()[1] not in refused.stdout
    ours = apps(hello={"tls": {"mode": "files", "certificate": str(chain), "key": str(key)}})
    done = certificates(vps, tmp_path, ours, "--diff", "-vvv")
    assert done.returncode == 0, done.stdout
    assert good.key.splitlines()[1] not in done.stdout
    before = served(vps, HELLO, trusted).serial_number
    assert vps.run("stat", "-Lc", "%a %U", "/etc/ssl/slipway/hello/privkey.pem") == "600 root"
    assert "hello" not in vps.run("systemctl", "list-units", "--all", "slipway-certificate@*")
    assert "changed=0" in certificates(vps, tmp_path, ours).stdout

    late, other = middle.leaf([HELLO], starts=-9, ends=-1), middle.leaf(["other.localhost"])
    for certificate, private, told in [
        (middle.text + good.certificate, good.key, "tls.certificate: has its certificates in a wrong order"),
        (good.certificate + middle.text, other.key, "tls.key: does not belong to the first certificate"),
        (late.certificate + middle.text, late.key, f"tls.certificate: CN={HELLO} ended on"),
        (other.certificate + middle.text, other.key, f"tls.certificate: is not for {HELLO}, but for other.localhost"),
    ]:
        vault = tmp_path / "vault.yml"
        vault.write_text(f"vault_hello_tls_key: !unsafe {json.dumps(private)}\n")
        text = {"mode": "files", "certificate": certificate, "key": "{{ vault_hello_tls_key }}"}
        refused = certificates(vps, tmp_path, apps(hello={"tls": text}), "-e", f"@{vault}")
        assert refused.returncode == 2, told
        assert f"apps.hello.{told}" in refused.stdout
        assert private.splitlines()[1] not in refused.stdout
        assert served(vps, HELLO, trusted).serial_number == before

    renewed = middle.leaf([HELLO])
    chain.write_text(renewed.certificate + middle.text)
    key.write_text(renewed.key)
    assert certificates(vps, tmp_path, ours).returncode == 0
    until(lambda: served(vps, HELLO, trusted).serial_number != before, "the renewed certificate is served")


@pytest.mark.usefixtures("_restored")
def test_a_running_host_changes_modes(vps: Any, tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    selfsigned = apps(hello={"tls": {"mode": "selfsigned"}})
    done = certificates(vps, tmp_path, selfsigned, "-e", f"certificates_authority_copy={own}")
    assert done.returncode == 0, done.stdout
    assert names(served(vps, HELLO, str(own))) == [HELLO]
    again = certificates(vps, tmp_path, selfsigned, "-e", f"certificates_authority_copy={own}")
    assert "changed=0" in again.stdout, again.stdout
    assert vps.run("systemctl", "is-active", "slipway-certificate@hello.timer", check=False) == "inactive"
