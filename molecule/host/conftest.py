"""What the checks of this scenario share: the VPS's console, waiting, and a stranger on the same network."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from molecule.shared.podman import console, podman


class Host:
    """The VPS, seen from its console. It is only looked at there, but where a check says otherwise."""

    def __init__(self, vps: Any) -> None:
        self.vps = vps

    def console(self, command: str, *, check: bool = True) -> str:
        return console(self.vps.name, command, check=check)

    def lets_in(self, *options: str) -> bool:
        """Whether a new connection gets a shell."""
        command = [self.vps.ssh[0], "-o", "ConnectTimeout=3", *options, *self.vps.ssh[1:], "true"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def addresses(self) -> dict[str, str]:
        [network] = json.loads(podman("inspect", self.vps.name))[0]["NetworkSettings"]["Networks"].values()
        return {"IPv4": network["IPAddress"], "IPv6": network["GlobalIPv6Address"]}

    def is_as_before(self) -> bool:
        """Whether nothing of a refused change is left."""
        found = self.console(
            "grep -c 192.0.2.1 /etc/slipway/firewall.nft; nft list table inet slipway; sshd -T", check=False
        )
        return found.startswith("0") and "192.0.2.1" not in found and "\nport 22\n" in found


@pytest.fixture(scope="module")
def host(vps: Any) -> Host:
    return Host(vps)


@pytest.fixture(scope="module")
def stranger(vps: Any) -> Iterator[Callable[..., str]]:
    """A command in another container on the VPS's network."""
    name = f"{vps.name}-stranger"
    [found] = json.loads(podman("inspect", vps.name))
    [network] = found["NetworkSettings"]["Networks"]
    # As the VPS has them: podman asks for more than every machine can give.
    limits = [
        f"--ulimit={each['Name'].removeprefix('RLIMIT_').lower()}={each['Hard']}"
        for each in found["HostConfig"]["Ulimits"]
    ]
    options = ["--detach", "--replace", f"--name={name}", f"--network={network}", *limits]
    podman(f"--runtime={found['OCIRuntime']}", "run", *options, found["Image"], "sleep", "1h")
    yield lambda *words: podman("exec", name, *words, check=False)
    podman("rm", "--force", "--time", "0", name)
