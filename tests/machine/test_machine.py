"""What the machine role refuses, from what its script would have said of such a machine; and the script itself."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from machine_look.facts import Facts, parsed
from machine_look.judged import Wanted, common_problems, machine_problems
from machine_look.versions import numbers, version_problems

from tests.conftest import load

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "roles/machine/files/look.sh"
action = load("roles/machine/action_plugins/machine_state.py")
WANTED = Wanted(["12", "13"], ["amd64", "arm64"], memory=384, disk=512, inodes=10000, clock=30)
GOOD = """\
clock 1700000000.5
version 0.1.0
disk / 9000000 600000 500000
os debian 12 bookworm
arch amd64
user 0
init systemd
memory 500000
python Python 3.11.2
port 0050 nginx nginx.service 640
"""


def problems(text: str, skew: float = 0) -> list[str]:
    facts = parsed(text)
    found = [*common_problems(facts, WANTED, skew), *machine_problems(facts, WANTED)]
    return [f"{name}: {said}" for name, said in found]


def test_a_good_machine_passes() -> None:
    assert problems(GOOD) == []
    assert problems(f"Welcome to Debian!\r\n{GOOD}\nlogout\n") == []


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("os debian 12 bookworm", "os debian 11 bullseye", "is debian 11 (bullseye) and must be Debian 12 or 13"),
        ("os debian 12 bookworm", "os ubuntu 24.04 noble", "system: is ubuntu 24.04"),
        ("os debian 12 bookworm", "os debian none trixie", "system: is debian none"),
        ("arch amd64", "arch i386", "architecture: is i386 and must be amd64 or arm64"),
        ("user 0", "user 1000", "root: is needed"),
        ("init systemd", "", "systemd: does not run there"),
        ("init systemd", "init systemd\nreadonly /etc", "disk: /etc cannot be written to"),
        ("memory 500000", "memory 250000", "memory: is 244 MiB and must be 384"),
        ("python Python 3.11.2", "", "python: is not there; on the host: apt-get update"),
        ("disk / 9000000 600000 500000", "disk /srv 1024 600000 500000", "disk: /srv has 1 MiB free and needs 512"),
        ("disk / 9000000 600000 500000", "disk / 9000000 600000 12", "disk: / has 12 inodes free and needs 10000"),
        ("port 0050 nginx nginx.service 640", "port 0050 apache2 apache2.service 7",
         "port 80: is taken by apache2, and nginx needs it: systemctl disable --now apache2.service"),
        ("port 0050 nginx nginx.service 640", "port 01BB docker-proxy docker.service 7", "port 443: is taken by"),
        ("port 0050 nginx nginx.service 640", "port 0050 nginx libpod-1.scope 7", "port 80: is taken by nginx"),
        ("port 0050 nginx nginx.service 640", "port 0050 python3 none 7", "stop it (process 7)"),
        ("user 0", "user 0\nbroken nginx\nbroken curl", "left some half-installed (nginx, curl)"),
        ("user 0", "user 0\ninterrupted", "on the host: dpkg --configure -a"),
        ("user 0", "user 0\naccount shop user /home/shop", "account: shop is a user there that Slipway has not made"),
        ("user 0", "user 0\naccount shop group", "account: shop is a group there"),
        ("user 0", "user 0\naccount shop user /x\naccount shop group", "account: shop is a user there"),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_is_named_with_a_remedy(line: str, instead: str, said: str) -> None:
    assert line in GOOD
    found = problems(GOOD.replace(line, instead))
    assert len(found) == 1
    assert said in found[0]


def test_which_apps_have_a_redis_is_found() -> None:
    assert parsed(GOOD).redis == []
    assert parsed(f"{GOOD}redis shop\nredis blog\n").redis == ["shop", "blog"]


def test_all_is_said_at_once() -> None:
    bad = "os debian 11 bullseye\narch i386\nuser 0\ninit systemd\nmemory 1\npython x\ndisk / 1 9 1\n"
    assert len(problems(bad + "port 0050 apache2 apache2.service 3\n", skew=-400)) == 7


def test_a_file_system_that_counts_no_inodes_has_enough() -> None:
    assert problems(GOOD.replace("600000 500000", "0 0")) == []
    assert problems(GOOD.replace("600000 500000", "- -")) == []


@pytest.mark.parametrize(("clock", "off"), [(100.0, 0.0), (101.9, 0.0), (103.0, 1.0), (98.0, -2.0), (5000.0, 4898.0)])
def test_a_clock_is_off_by_what_is_certain(clock: float, off: float) -> None:
    assert action.skew(clock, 100, 102) == off


def test_a_clock_that_is_off_is_told_with_how_much() -> None:
    assert problems(GOOD, skew=29) == []
    assert "clock: is 3600 seconds ahead of this machine's" in problems(GOOD, skew=3600)[0]
    assert "clock: is 61 seconds behind this machine's" in problems(GOOD, skew=-61.4)[0]


CHANGES = [
    {"version": "0.2.0", "text": "Logs move.\nCopy yours first.\n"},
    {"version": "0.10.0", "text": "Ports close."},
    {"version": "0.11.0", "text": "Not there yet."},
]


def version(host: str, own: str, acknowledged: str = "") -> str:
    return "\n".join(text for _, text in version_problems(host, own, CHANGES, acknowledged))


def test_a_newer_slipway_s_host_is_left_alone() -> None:
    assert "Slipway 0.10.0 has provisioned this host, and this checkout is 0.9.0" in version("0.10.0", "0.9.0")
    assert version("0.9.0", "0.9.0") == ""
    assert version("", "0.10.0") == ""


def test_changes_between_two_versions_have_to_be_acknowledged() -> None:
    both = version("0.1.0", "0.10.0")
    assert "Logs move. Copy yours first." in both
    assert 'say slipway_acknowledged: "0.2.0"' in both
    assert "Ports close." in both
    assert "Not there yet" not in both
    assert "Logs move" not in version("0.1.0", "0.10.0", "0.2.0")
    assert "Ports close" in version("0.1.0", "0.10.0", "0.2.0")
    assert version("0.1.0", "0.10.0", "0.10.0") == ""
    assert version("0.2.0", "0.9.0") == ""


def test_the_project_s_version_and_its_changes_can_be_read() -> None:
    own = numbers((ROOT / "VERSION").read_text())
    assert own
    changes: list[dict[str, Any]] = yaml.safe_load((ROOT / "roles/machine/files/changes.yml").read_text())
    assert [numbers(str(change["version"])) for change in changes] == sorted(
        numbers(str(change["version"])) or () for change in changes
    )
    assert all((numbers(str(change["version"])) or own) <= own and change["text"].strip() for change in changes)


def look(what: str, directories: str, ports: str, apps: str) -> Facts:
    command = ["sh", str(SCRIPT), what, directories, ports, apps]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return parsed(result.stdout)


def test_the_script_tells_of_this_machine() -> None:
    facts = look("provision", "/srv/not/there /var", "0050 01BB", "root nobody-has-this-name")
    assert abs(facts.clock - time.time()) < 60
    assert facts.memory > 0
    assert facts.arch
    assert all(facts.os)
    assert facts.disks
    assert all(disk.free > 0 for disk in facts.disks)
    assert ("root", "user /root") in facts.accounts
    assert not [name for name, _ in facts.accounts if name != "root"]


def test_the_script_finds_who_listens() -> None:
    server = subprocess.Popen(
        ["python3", "-c", "import socket; s = socket.create_server(('', 0)); print(s.getsockname()[1]); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout
    try:
        port = int(server.stdout.readline())
        found = look("provision", "/", f"{port:04X}", "").listeners
        assert [(one.port, one.pid) for one in found] == [(port, server.pid)]
        assert found[0].process.startswith("python")
    finally:
        server.communicate("\n")
    assert look("provision", "/", f"{port:04X}", "").listeners == []


def test_a_deploy_asks_for_little() -> None:
    facts = look("deploy", "/", "0050", "root")
    assert facts.clock
    assert not facts.disks
    assert not facts.accounts
    assert not facts.arch
