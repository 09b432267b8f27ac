"""What may be said of admins, ports and addresses: everything wrong is refused with the key named."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.conftest import load

access = load("roles/preflight/filter_plugins/access.py")


def key(kind: str, *fields: bytes) -> str:
    """A public key as ssh-keygen writes it."""
    parts = [kind.encode(), *fields]
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"{kind} {base64.b64encode(blob).decode()} ada@example.com"


def rsa(bits: int) -> str:
    return key("ssh-rsa", b"\x01\x00\x01", b"\x00" + (1 << (bits - 1)).to_bytes(bits // 8, "big"))


ED25519 = key("ssh-ed25519", b"k" * 32)


def admin(*keys: Any) -> dict[str, Any]:
    return {"users_admins": {"ada": {"keys": list(keys)}}}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"users_admins": ["ada"]}, "users_admins: must be a dictionary"),
    ({"users_admins": {"root": {"keys": [ED25519]}}}, "users_admins.root: root needs no entry"),
    ({"users_admins": {"www-data": {"keys": [ED25519]}}}, "users_admins.www-data: that name belongs to the system"),
    ({"users_admins": {"Ada": {"keys": [ED25519]}}}, "users_admins.Ada: a name is"),
    ({"users_admins": {"a b": {"keys": [ED25519]}}}, "users_admins.a b: a name is"),
    ({"users_admins": {"-a": {"keys": [ED25519]}}}, "users_admins.-a: a name is"),
    ({"users_admins": {"ALL": {"keys": [ED25519]}}}, "users_admins.ALL: a name is"),
    ({"users_admins": {"%wheel": {"keys": [ED25519]}}}, "users_admins.%wheel: a name is"),
    ({"users_admins": {"shop": {"keys": [ED25519]}}}, "users_admins.shop: is the name of an app, too"),
    ({"users_admins": {"ada": None}}, "users_admins.ada: must be a dictionary"),
    ({"users_admins": {"ada": {}}}, "users_admins.ada.keys: must be a list"),
    ({"users_admins": {"ada": {"keys": ED25519}}}, "users_admins.ada.keys: must be a list"),
    ({"users_admins": {"ada": {"keys": [ED25519], "key": 1}}}, "users_admins.ada.key: unknown key; did you mean keys?"),
    (admin(), "users_admins.ada.keys: must be a list"),
    (admin(7), "users_admins.ada.keys[0]: must be one line of text"),
    (admin(ED25519, "ssh-ed25519 AAAA"), "users_admins.ada.keys[1]: is no public SSH key"),
    (admin(ED25519[:40]), "users_admins.ada.keys[0]: is no public SSH key"),
    (admin("~/.ssh/id_ed25519.pub"), "users_admins.ada.keys[0]: is no public SSH key"),
    (admin(f'command="id" {ED25519}'), "users_admins.ada.keys[0]: is no public SSH key"),
    (admin(f"{ED25519}\n{ED25519}"), "users_admins.ada.keys[0]: must be one line"),
    (admin("-----BEGIN OPENSSH PRIVATE KEY-----"), "users_admins.ada.keys[0]: is a private key"),
    (admin(rsa(2048)), "users_admins.ada.keys[0]: has 2048 bits"),
    (admin(key("ecdsa-sha2-nistp256", b"x")), "sshd accepts no ecdsa-sha2-nistp256 here"),
    (admin(key("ssh-dss", b"x")), "sshd accepts no ssh-dss here"),
    ({"ssh_ports": []}, "ssh_ports: must be a list of ports, with at least one"),
    ({"ssh_ports": 22}, "ssh_ports: must be a list of ports"),
    ({"ssh_ports": [0]}, "ssh_ports: 0 is no port"),
    ({"ssh_ports": [65536]}, "ssh_ports: 65536 is no port"),
    ({"ssh_ports": ["22"]}, "ssh_ports: '22' is no port"),
    ({"ssh_ports": [True]}, "ssh_ports: True is no port"),
    ({"ssh_ports": [22, 22]}, "ssh_ports: names a port twice"),
    ({"ssh_ports": [443]}, "ssh_ports: 443 is a port of the web server"),
    ({"firewall_web_ports": [80, "443;"]}, "firewall_web_ports: '443;' is no port"),
    ({"firewall_ssh_from": ["192.0.2.300"]}, "firewall_ssh_from: '192.0.2.300' is no address"),
    ({"firewall_ssh_from": ["192.0.2.1/24"]}, "firewall_ssh_from: '192.0.2.1/24' is no address"),
    ({"firewall_ssh_from": "192.0.2.1"}, "firewall_ssh_from: must be a list"),
    ({"firewall_trusted": ["vpn.example.com"]}, "firewall_trusted: 'vpn.example.com' is no address"),
    ({"firewall_trusted": [1]}, "firewall_trusted: 1 is no address"),
    ({"firewall_allow": {"port": 1}}, "firewall_allow: must be a list"),
    ({"firewall_allow": [8000]}, "firewall_allow[0]: must be a dictionary"),
    ({"firewall_allow": [{"port": 8000, "form": []}]}, "firewall_allow[0].form: unknown key; did you mean from?"),
    ({"firewall_allow": [{}]}, "firewall_allow[0].port: must be"),
    ({"firewall_allow": [{"port": "80;"}]}, "firewall_allow[0].port: must be"),
    ({"firewall_allow": [{"port": "20-10"}]}, "firewall_allow[0].port: must be"),
    ({"firewall_allow": [{"port": 70000}]}, "firewall_allow[0].port: must be"),
    ({"firewall_allow": [{"port": 80, "protocol": "icmp"}]}, "firewall_allow[0].protocol: must be"),
    ({"firewall_allow": [{"port": 80, "from": []}]}, "firewall_allow[0].from: is empty"),
    ({"firewall_allow": [{"port": 80, "from": ["any"]}]}, "firewall_allow[0].from: 'any' is no address"),
]


@pytest.mark.parametrize(("given", "problem"), BAD, ids=[problem for _, problem in BAD])
def test_what_is_wrong_is_refused_by_name(given: dict[str, Any], problem: str) -> None:
    found = access.access_problems(given, {"shop": {}})
    assert len(found) == 1, found
    assert problem in found[0]


def test_what_is_right_passes() -> None:
    sk = key("sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:")
    given = {
        "users_admins": {"ada": {"keys": [ED25519, f"{rsa(3072)}\n", sk]}, "b": {"keys": [rsa(4096)]}},
        "ssh_ports": [22, 2222],
        "firewall_web_ports": [],
        "firewall_ssh_from": ["192.0.2.7", "192.0.2.0/24", "2001:db8::/32"],
        "firewall_trusted": ["2001:db8::7"],
        "firewall_allow": [{"port": "6000-6010", "protocol": "udp", "from": ["192.0.2.7"]}, {"port": 8000}],
    }
    assert access.access_problems(given, {}) == []
    assert access.access_problems({}) == []
