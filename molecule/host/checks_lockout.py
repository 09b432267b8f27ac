"""Configurations that would lock the operator out: within two minutes the old way in works again, without a console."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from molecule.shared.podman import podman
from molecule.shared.waiting import until

# An address that nobody has: SSH from anywhere else is dropped.
BLOCKED = json.dumps({"firewall_ssh_from": ["192.0.2.1"]})
MOVED = json.dumps({"ssh_ports": [2222]})


@pytest.fixture(scope="module", autouse=True)
def _settled(vps: Any) -> None:
    """Begin with the apps and settings of the scenario, whatever the checks before these have changed."""
    done = vps.playbook("site.yml")
    assert done.returncode == 0, done.stdout


@pytest.fixture(autouse=True)
def _in_before_and_after(host: Any) -> Any:
    assert host.lets_in()
    assert host.is_as_before()
    yield
    until(host.lets_in, "the operator gets in again")
    until(host.is_as_before, "nothing of the change is left")
    assert host.console("ls /var/lib/slipway-guard") == "lock"


def test_a_port_that_is_blocked_on_the_way(vps: Any) -> None:
    # sshd comes up there, but nothing between here and there leads to it.
    refused = vps.playbook("site.yml", "-e", json.dumps({"ssh_ports": [2223]}))
    assert refused.returncode == 2
    assert "The new configuration of ssh would have locked you out, so it was not kept." in refused.stdout
    assert "The old one is in force." in refused.stdout
    assert "is open on the way" in refused.stdout


def test_a_wrong_key(vps: Any, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    key = (tmp_path / "key.pub").read_text().strip()
    refused = vps.playbook("site.yml", "-e", json.dumps({"users_admins": {"admin": {"keys": [key]}}}))
    assert refused.returncode == 2
    assert "The new configuration of users would have locked you out" in refused.stdout
    assert "Permission denied" in refused.stdout
    assert "the public key of admin in users_admins" in refused.stdout


def test_a_configuration_that_sshd_refuses_is_never_activated(vps: Any, host: Any) -> None:
    started = host.console("systemctl show -P ActiveEnterTimestampMonotonic ssh")
    host.console("echo 'Nonsense yes' >/etc/ssh/sshd_config.d/60-broken.conf")
    try:
        refused = vps.playbook("site.yml", "-e", "ssh_login_grace_time=31")
    finally:
        host.console("rm /etc/ssh/sshd_config.d/60-broken.conf")
    assert refused.returncode == 2
    assert "Bad configuration option: Nonsense" in refused.stdout
    assert "so no file was changed" in refused.stdout
    assert host.console("systemctl show -P ActiveEnterTimestampMonotonic ssh") == started


def test_a_firewall_that_drops_ssh(vps: Any) -> None:
    refused = vps.playbook("site.yml", "-e", BLOCKED)
    assert refused.returncode == 2
    assert "The new configuration of firewall would have locked you out" in refused.stdout


@pytest.fixture
def killed_midway(vps: Any, host: Any, project: Path) -> Callable[..., None]:
    """Kill a run between the activation of rules that drop SSH and its confirmation."""

    def kill(*more: str) -> None:
        command = ["ansible-playbook", "site.yml", *vps.inventory, "-e", BLOCKED, *more]
        run = subprocess.Popen(command, cwd=project, start_new_session=True, stdout=subprocess.DEVNULL)
        try:
            until(lambda: "192.0.2.1" in host.console("nft list table inet slipway"), "the new rules count")
        finally:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
        assert not host.lets_in()

    return kill


def test_a_controller_that_is_killed_in_the_middle(killed_midway: Callable[..., None]) -> None:
    # Nothing else is done: the host helps itself.
    killed_midway()


def test_a_host_that_is_restarted_before_anybody_could_confirm(
    vps: Any, host: Any, killed_midway: Callable[..., None]
) -> None:
    # Too long for the timer to be what helps.
    killed_midway("-e", "guard_seconds=3600")
    vps.hang_up()
    podman("kill", vps.name)
    podman("start", vps.name)
    until(
        lambda: host.console("systemctl is-system-running", check=False) in {"running", "degraded"},
        "the host has booted",
    )
    assert host.console("systemctl is-active slipway-firewall fail2ban ssh").split() == ["active"] * 3
    assert "policy drop" in host.console("nft list table inet slipway")
    assert host.console("systemctl list-units --failed --plain --no-legend") == ""


def test_a_run_after_a_killed_one_starts_from_what_was_known_to_work(
    vps: Any, host: Any, killed_midway: Callable[..., None]
) -> None:
    killed_midway("-e", "guard_seconds=30")
    until(host.lets_in, "the operator gets in again")
    again = vps.playbook("site.yml")
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout


def test_a_new_port_and_the_way_back(vps: Any, host: Any) -> None:
    moved = int(vps.ssh[2]) + 1
    done = vps.playbook("site.yml", "-e", MOVED)
    assert done.returncode == 0, done.stdout
    assert f"Set ansible_port: {moved} for vps in the inventory" in " ".join(done.stdout.split())
    assert not host.lets_in()
    assert "tcp dport 2222 ct state new" in host.console("nft list table inet slipway")
    # The inventory still has the old port: the next run finds the new one, and has nothing to change.
    again = vps.playbook("site.yml", "-e", MOVED)
    assert again.returncode == 0, again.stdout
    assert f"but at {moved}" in " ".join(again.stdout.split())
    assert "changed=0" in again.stdout
    other = vps.playbook("playbooks/releases.yml", "-e", MOVED)
    assert other.returncode == 0, other.stdout
    assert f"but at {moved}" in " ".join(other.stdout.split())
    back = vps.playbook("site.yml", "-e", json.dumps({"contact_ports": [moved]}))
    assert back.returncode == 0, back.stdout
    assert vps.playbook("site.yml").stdout.count("changed=0") == 1
