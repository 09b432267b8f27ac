"""What site.yml says of bad inputs and of a machine in trouble, and that it leaves the host as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

# What a run could have touched, with times; what the machine writes by itself at any time aside.
OWN = ("apt", "dpkg/lock*", "fail2ban", "logrotate", "needrestart", "private", "systemd", "ucf", "unattended-upgrades")
STATE = (
    "find /etc /srv /var/lib /opt /usr/local -xdev -type f "
    + "".join(f"-not -path '/var/lib/{place}*' " for place in OWN)
    + "-printf '%p %s %T@ %m %u\\n'"
)
HOLDER = """
import fcntl, time
with open("/var/lib/dpkg/lock-frontend", "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep({seconds})
"""

BAD_INPUTS = {
    "nginx_worker_conections: the role nginx has no such input": ["-e", "nginx_worker_conections=1"],
    "apps.guestbook.helth: there is no such key": ["-e", '{"apps": {"guestbook": {"helth": {}}}}'],
    "release_keep: must be from 1 to 1000": ["-e", "release_keep=0"],
    "apps_root: /etc belongs to the system": ["-e", "apps_root=/etc"],
    "vault_hello_token: is shorter than 8": ["-e", "vault_hello_token=abc"],
}


def state(vps: Any) -> set[str]:
    return set(vps.run("sh", "-c", STATE).splitlines())


@pytest.mark.parametrize("said", BAD_INPUTS)
def test_bad_inputs_change_nothing(vps: Any, said: str) -> None:
    before = state(vps)
    refused = vps.playbook("site.yml", *BAD_INPUTS[said])
    assert refused.returncode == 2, refused.stdout
    assert "Nothing was changed" in refused.stdout
    assert said in refused.stdout
    assert state(vps) == before


@pytest.fixture
def troubled(vps: Any) -> Iterator[None]:
    """Another web server on port 80, dpkg interrupted, a user with an app's name, a newer Slipway."""
    own = vps.run("cat", "/var/lib/slipway/version")
    vps.run("systemctl", "stop", "nginx")
    vps.run("systemd-run", "--quiet", "--unit=other-web", "python3", "-m", "http.server", "80")
    vps.run("timeout", "30", "sh", "-c", "until grep -q ':0050 .* 0A ' /proc/net/tcp; do sleep 0.1; done")
    vps.run("touch", "/var/lib/dpkg/updates/0000")
    vps.run("useradd", "--system", "shopkeeper")
    vps.run("sh", "-c", "echo 99.0.0 >/var/lib/slipway/version")
    yield
    vps.run("systemctl", "stop", "other-web")
    vps.run("rm", "/var/lib/dpkg/updates/0000")
    vps.run("userdel", "shopkeeper")
    vps.run("sh", "-c", f"echo {own} >/var/lib/slipway/version")
    vps.run("systemctl", "start", "nginx")


@pytest.mark.usefixtures("troubled")
def test_a_machine_in_trouble_is_left_alone_and_all_is_said(vps: Any) -> None:
    before = state(vps)
    app = '{"machine_apps": {"shopkeeper": {}}, "machine_memory": 1048576, "machine_releases": ["99"]}'
    refused = vps.playbook("site.yml", "-e", app)
    assert refused.returncode == 2
    for said in (
        "Nothing was changed: 6 to put right on the host",
        "port 80: is taken by python3, and nginx needs it: systemctl disable --now other-web.service",
        "packages: dpkg was interrupted",
        "account: shopkeeper is a user there that Slipway has not made",
        "version: Slipway 99.0.0 has provisioned this host, and this checkout is",
        "memory: is ",
        "and must be Debian 99",
    ):
        assert said in refused.stdout, refused.stdout
    deploy = vps.playbook("playbooks/deploy.yml")
    assert deploy.returncode == 2
    assert "Slipway 99.0.0 has provisioned this host" in deploy.stdout
    assert state(vps) == before


def test_site_waits_for_apt_and_not_for_ever(vps: Any) -> None:
    def hold(seconds: int) -> None:
        code = HOLDER.format(seconds=seconds)
        vps.run("systemd-run", "--quiet", "--unit=holder", "--collect", "python3", "-c", code)
        held = "until systemctl is-active -q holder && grep -q ' POSIX .* WRITE ' /proc/locks; do sleep 0.1; done"
        vps.run("timeout", "30", "sh", "-c", held)

    hold(3600)
    refused = vps.playbook("site.yml", "-e", "machine_apt_timeout=1")
    vps.run("systemctl", "stop", "holder")
    assert refused.returncode == 2
    assert "packages: are being changed by python3 (process " in refused.stdout
    hold(12)
    waited = vps.playbook("site.yml", "-e", "machine_apt_timeout=120")
    assert waited.returncode == 0, waited.stdout
    assert "waiting for python3, up to 120 seconds" in waited.stdout


def test_the_host_knows_which_slipway_has_provisioned_it(vps: Any, project: Any) -> None:
    assert vps.run("cat", "/var/lib/slipway/version") == (project / "VERSION").read_text().strip()


def test_a_breaking_change_has_to_be_acknowledged(vps: Any, tmp_path: Any) -> None:
    own = vps.run("cat", "/var/lib/slipway/version")
    changes = tmp_path / "changes.yml"
    changes.write_text(f'[{{version: "{own}", text: "Logs move; copy yours first."}}]\n')
    given = ["-e", f"machine_changes={changes}"]
    vps.run("sh", "-c", "echo 0.0.1 >/var/lib/slipway/version")
    refused = vps.playbook("site.yml", *given)
    assert refused.returncode == 2
    assert "Logs move; copy yours first." in refused.stdout
    assert f'slipway_acknowledged: "{own}"' in refused.stdout
    assert vps.run("cat", "/var/lib/slipway/version") == "0.0.1"
    done = vps.playbook("site.yml", *given, "-e", f"slipway_acknowledged={own}")
    assert done.returncode == 0, done.stdout
    assert vps.run("cat", "/var/lib/slipway/version") == own
