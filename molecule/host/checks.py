"""Who gets in, what can be reached, who is banned; asked by the operator and by a stranger."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from molecule.shared.waiting import until

HERE = Path(__file__).resolve().parent
POST_QUANTUM = "does not provide protection against post-quantum attacks"
# Connects to many ports at once and prints those that open.
SCAN = """
import asyncio, sys
async def opens(port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(sys.argv[1], port), 3)
    except (OSError, asyncio.TimeoutError):
        return None
    writer.close()
    return port
async def main():
    print(*filter(None, await asyncio.gather(*map(opens, [*range(1, 1025), 3306, 5432, 6379, 8000, 8080, 9999]))))
asyncio.run(main())
"""
LISTEN = (
    "import socket; s = socket.create_server(('::', 9999), family=socket.AF_INET6, dualstack_ipv6=True); s.accept()"
)


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ssh-audit, in an environment of its own."""
    folder = tmp_path_factory.mktemp("audit")
    install = ["uv", "pip", "install", "--quiet", "--python", str(folder), "--require-hashes", "-r"]
    for command in (["uv", "venv", "--quiet", str(folder)], [*install, str(HERE / "locks" / "ssh-audit.txt")]):
        subprocess.run(command, check=True)
    return folder / "bin" / "ssh-audit"


def notes(report: Any, kind: str) -> Iterator[str]:
    for algorithms in (report["kex"], report["key"], report["enc"], report["mac"]):
        for algorithm in algorithms:
            yield from algorithm.get("notes", {}).get(kind, [])


def test_ssh_audit_finds_no_failure(vps: Any, audit: Path) -> None:
    command = [str(audit), "--json", "--skip-rate-test", "-p", vps.ssh[2], vps.address]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    assert report["kex"]
    assert list(notes(report, "fail")) == []
    assert set(notes(report, "warn")) <= {POST_QUANTUM}
    assert [key["algorithm"] for key in report["key"]] == ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"]
    # Where every key exchange is post-quantum, it cannot measure the keys.
    assert {key.get("keysize", 4096) for key in report["key"][1:]} == {4096}
    assert vps.run("ssh-keygen", "-lf", "/etc/ssh/ssh_host_rsa4096_key").startswith("4096 ")


def test_ssh_audit_s_policy_for_this_debian_passes(vps: Any, audit: Path) -> None:
    release = os.environ.get("VPS_DEBIAN") or "12"
    policy = {"12": "Hardened Debian 12 (version 3)", "13": "Hardened Debian 13 (version 1)"}[release]
    command = [str(audit), "-P", policy, "-p", vps.ssh[2], vps.address]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "Passed" in result.stdout


def test_the_admin_has_no_password_and_may_become_root(vps: Any, host: Any) -> None:
    assert vps.run("id", "-u") == "0"
    assert host.console("getent shadow admin").split(":")[1].startswith("!")
    assert host.console("stat --format %a ~admin") == "700"


def test_root_gets_in_no_more_by_key_or_password(host: Any, vps: Any) -> None:
    host.console("mkdir -p /root/.ssh; cp ~admin/.ssh/authorized_keys /root/.ssh/")
    as_root = [word.replace("admin@", "root@") for word in vps.ssh if word != "sudo"]
    result = subprocess.run([*as_root, "true"], capture_output=True, text=True, check=False)
    assert "Permission denied (publickey)" in result.stderr


def test_what_the_provider_left_does_not_count(host: Any) -> None:
    settings = host.console("sshd -T").splitlines()
    for line in ("permitrootlogin no", "passwordauthentication no", "x11forwarding no", "port 22"):
        assert line in settings
    assert "yes" in host.console("cat /etc/ssh/sshd_config.d/50-cloud-init.conf")


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_a_stranger_reaches_only_what_is_named(family: str, host: Any, stranger: Callable[..., str]) -> None:
    # Something that somebody has started and that nobody is to reach.
    host.console(f'systemctl is-active forgotten || systemd-run --quiet --unit forgotten python3 -c "{LISTEN}"')
    try:
        until(lambda: ":9999 " in host.console("ss -ltn"), "it listens")
        assert stranger("python3", "-c", SCAN, host.addresses()[family]) == "22 80 443"
    finally:
        host.console("systemctl stop forgotten")


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_a_stranger_who_guesses_is_banned(family: str, host: Any, stranger: Callable[..., str]) -> None:
    address = host.addresses()[family]
    wrong = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=5"]
    assert stranger("python3", "-c", SCAN, address) == "22 80 443"
    for number in range(6):
        stranger(*wrong, f"guess{number}@{address}", "true")
    until(lambda: stranger("python3", "-c", SCAN, address) == "80 443", "the ban")


def test_the_operator_who_mistypes_is_not_banned(vps: Any, host: Any) -> None:
    wrong = [word.replace("admin@", "typo@") for word in vps.ssh if word != "sudo"]
    for _ in range(6):
        assert subprocess.run([*wrong, "true"], capture_output=True, check=False).returncode == 255
    operator = host.console("cat /etc/slipway/operators.nft").split()[-2]
    until(lambda: f"[sshd] Ignore {operator}" in host.console("cat /var/log/fail2ban.log"), "fail2ban has seen it")
    assert host.lets_in()
    assert operator not in host.console("fail2ban-client get sshd banip").split()


def test_an_operator_may_come_as_often_as_he_likes(host: Any) -> None:
    assert all(host.lets_in() for _ in range(15))


def test_another_one_s_tables_stay(host: Any) -> None:
    host.console("nft add table inet others; systemctl reload slipway-firewall; systemctl restart slipway-firewall")
    tables = host.console("nft list tables")
    assert "table inet others" in tables
    assert "table inet f2b-table" in tables
    # Debian's own service flushes all that there is when it starts: ours comes back by itself.
    host.console("systemctl start nftables; systemctl restart nftables; systemctl reload nftables")
    assert "policy drop" in host.console("nft list table inet slipway")
    host.console("systemctl stop nftables; systemctl restart slipway-firewall fail2ban")


def test_whoever_is_no_admin_any_more_gets_in_no_more(vps: Any, host: Any) -> None:
    admin = host.console("cat ~admin/.ssh/authorized_keys").splitlines()[1]
    both = json.dumps({"users_admins": {"admin": {"keys": [admin]}, "bob": {"keys": [admin]}}})
    alone = ["playbooks/bootstrap.yml", "-e", "bootstrap_user=admin"]
    as_bob = [word.replace("admin@", "bob@") for word in vps.ssh]
    done = vps.playbook(*alone, "-e", both)
    assert done.returncode == 0, done.stdout
    assert subprocess.run([*as_bob, "id"], capture_output=True, check=False).returncode == 0
    done = vps.playbook(*alone)
    assert done.returncode == 0, done.stdout
    assert subprocess.run([*as_bob, "id"], capture_output=True, check=False).returncode == 255
    assert "bob" not in host.console("cat /etc/sudoers.d/slipway")


def test_another_host_key_is_explained(vps: Any, tmp_path: Path) -> None:
    other = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    known = tmp_path / "known_hosts"
    known.write_text(f"[{vps.address}]:{vps.ssh[2]} {Path(f'{other}.pub').read_text()}")
    options = f"ansible_ssh_common_args=-o UserKnownHostsFile={known} -o ControlPath=none"
    refused = vps.playbook("site.yml", "-e", json.dumps(dict([options.split("=", 1)])))
    assert refused.returncode != 0
    assert "has another host key than the one that was pinned" in refused.stdout
    assert "changed=0" in refused.stdout
