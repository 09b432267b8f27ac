"""What stands in the way of Slipway on a machine; each problem names what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from machine_look.facts import Facts

Problem = tuple[str, str]


@dataclass(frozen=True)
class Wanted:
    """What a machine has to be like; sizes in MiB, times in seconds."""

    releases: list[str] = field(default_factory=list)
    architectures: list[str] = field(default_factory=list)
    memory: int = 0
    disk: int = 0
    inodes: int = 0
    clock: int = 0


def common_problems(facts: Facts, wanted: Wanted, skew: float) -> Iterator[Problem]:
    """What matters to every run.

    Args:
        skew: seconds that the machine's clock is certain to be ahead of the controller's, or, negative, behind.
    """
    if abs(skew) > wanted.clock:
        way = "ahead of" if skew > 0 else "behind"
        remedy = "timedatectl set-ntp true on the one that is wrong"
        yield "clock", f"is {abs(skew):.0f} seconds {way} this machine's, and TLS needs the right time: {remedy}"
    for disk in facts.disks:
        if disk.free < wanted.disk * 1024:
            yield "disk", f"{disk.mount} has {disk.free // 1024} MiB free and needs {wanted.disk}: make room there"
        if disk.inodes is not None and disk.inodes < wanted.inodes:
            yield (
                "disk",
                f"{disk.mount} has {disk.inodes} inodes free and needs {wanted.inodes}: remove files there",
            )


def machine_problems(facts: Facts, wanted: Wanted) -> Iterator[Problem]:
    """What matters to provisioning."""
    name, number, codename = facts.os
    if name != "debian" or number not in wanted.releases:
        releases = " or ".join(wanted.releases)
        yield "system", f"is {name} {number} ({codename}) and must be Debian {releases}: have it installed anew"
    if facts.arch not in wanted.architectures:
        yield "architecture", f"is {facts.arch} and must be {' or '.join(wanted.architectures)}"
    if facts.user != 0:
        yield "root", "is needed, and become did not give it: see that ansible_user may use sudo"
    if not facts.systemd:
        yield "systemd", "does not run there: a machine or a container with systemd is needed"
    for directory in facts.readonly:
        yield "disk", f"{directory} cannot be written to: mount -o remount,rw / after a look at dmesg"
    if facts.memory < wanted.memory * 1024:
        yield "memory", f"is {facts.memory // 1024} MiB and must be {wanted.memory}: take a larger machine"
    if not facts.python:
        yield "python", "is not there; on the host: apt-get update && apt-get install -y python3"
    yield from _ports(facts)
    yield from _packages(facts)
    # A user has a group of its name, too.
    for account, what in dict(reversed(facts.accounts)).items():
        yield "account", f"{account} is a {what.split()[0]} there that Slipway has not made: give the app another name"


def _ports(facts: Facts) -> Iterator[Problem]:
    for port in sorted({listener.port for listener in facts.listeners}):
        # Nginx as Debian starts it; one in a container is somebody else's.
        others = [one for one in facts.listeners if one.port == port and one.unit != "nginx.service"]
        if others:
            first = others[0]
            managed = first.unit.endswith(".service") and not first.unit.startswith("user@")
            stop = f"systemctl disable --now {first.unit}" if managed else f"stop it (process {first.pid})"
            yield f"port {port}", f"is taken by {first.process}, and nginx needs it: {stop}"


def _packages(facts: Facts) -> Iterator[Problem]:
    if facts.interrupted or facts.broken:
        names = f" ({', '.join(facts.broken[:5])})" if facts.broken else ""
        remedy = "dpkg --configure -a && apt-get -f install"
        yield "packages", f"dpkg was interrupted or left some half-installed{names}; on the host: {remedy}"
