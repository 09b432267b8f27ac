"""Snapshots of converged test VPSs, and clones of them.

A snapshot is an image that podman commits from a scenario's host once `molecule test` has converged it and seen that a
second run changes nothing. Each check file gets a clone of its own, which boots in seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from molecule.shared.address import lease
from molecule.shared.podman import console, podman, remove
from molecule.shared.scenario import CHECKOUT, PROJECT, STATE, Scenario
from molecule.shared.waiting import until

LOGS = STATE / "logs"
# Of a run of molecule; the slowest takes a few minutes on a busy machine.
LIMIT = 30 * 60
# What the controller keeps of a host, inside its snapshot.
CONTROLLER = "/usr/share/test-vps"
LABEL = "slipway.clone"
RUN = "slipway.run"
# Of downloaded packages, in bytes for each Debian.
CACHE = 600 << 20
# Forgets what no two machines may have in common; bin/first-boot makes it anew, of the same kinds.
FORGET = """
    cd /etc/ssh
    for key in /etc/ssh/ssh_host_*_key; do
        ssh-keygen -l -f "$key" | sed -E "s|^([0-9]+) .*\\((.*)\\)$|\\L\\2 \\1 $key|"
    done >/etc/ssh/.keys
    rm -f ssh_host_*; mv .keys ssh_host_keys
    : >/etc/machine-id; rm -rf /var/log/journal/*
"""


class ConvergeError(Exception):
    """A scenario did not converge; the message is the end of what molecule said, and where all of it is."""


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    """Keep other processes of this checkout from the same work."""
    (STATE / "locks").mkdir(mode=0o700, parents=True, exist_ok=True)
    with (STATE / "locks" / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def keys(name: str) -> Path:
    """Return the folder of what the controller has of a VPS."""
    return STATE / "vps" / name


def discard(*names: str) -> None:
    """Remove VPSs with all that the controller has of them."""
    remove(*names)
    for name in names:
        shutil.rmtree(keys(name), ignore_errors=True)


def environment(scenario: Scenario, unit: str, **more: str) -> dict[str, str]:
    """Return the variables by which Ansible finds the hosts of one unit of work."""
    return {"VPS_DEBIAN": scenario.debian, "VPS_UNIT": unit, "VPS_RUN": CHECKOUT, "VPS_IMAGE": "", **more}


def converge(scenario: Scenario, unit: str) -> list[Path]:
    """Run a scenario as `molecule test` does, but for its checks; return the description of each of its hosts.

    Raises:
        ConvergeError: a step failed, or a second run changed something.
    """
    LOGS.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = LOGS / f"{scenario.name}-{scenario.debian}.log"
    work = STATE / "molecule" / f"{scenario.name}-{scenario.debian}-{unit}"
    shutil.rmtree(work, ignore_errors=True)
    variables = environment(
        scenario,
        unit,
        VPS_IMAGE=snapshot(scenario.parent) if scenario.parent else "",
        MOLECULE_EPHEMERAL_DIRECTORY=str(work),
        MOLECULE_VERIFY="../shared/describe.yml",
        MOLECULE_DEPENDENCY="false",
        MOLECULE_COMMAND_BORDERS="false",
        NO_COLOR="1",
        ANSIBLE_NOCOLOR="1",
    )
    command = [sys.executable, "-m", "molecule", "test", "--scenario-name", scenario.name, "--destroy", "never"]
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
    if done.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-100:]
        raise ConvergeError("\n".join([*tail, f"{scenario.name} did not converge on Debian {scenario.debian}: {log}"]))
    folders = [keys(scenario.vps(host, unit)) for host in scenario.hosts]
    for path in work.glob("*.log"):
        shutil.copy(path, folders[0])
    return [folder / "vps.json" for folder in folders]


def exists(tag: str) -> bool:
    return subprocess.run(["podman", "image", "exists", tag], check=False).returncode == 0


def snapshot(scenario: Scenario) -> str:
    """Return the tag of a scenario's snapshot, which is made where there is none of these inputs.

    Raises:
        ConvergeError: the scenario does not converge.
    """
    tag = scenario.tag
    with _locked(f"{scenario.name}-{scenario.debian}"):
        if not exists(tag):
            [host] = scenario.hosts
            name = scenario.vps(host, "snapshot")
            began = time.monotonic()
            try:
                converge(scenario, "snapshot")
                _take(name, tag)
            finally:
                discard(name)
            _forget_older(tag)
            if scenario.name == "packages":
                _trim(STATE / "cache" / f"apt-{scenario.debian}")
            line = f"{scenario.name} {scenario.debian} {time.monotonic() - began:.0f}\n"
            with (LOGS / "snapshots.txt").open("a") as durations:
                durations.write(line)
    return tag


def _take(name: str, tag: str) -> None:
    """Commit a VPS as an image that knows how it was run."""
    command = json.loads(podman("inspect", "--format", "{{json .Config.CreateCommand}}", name))
    described = json.loads((keys(name) / "vps.json").read_text())
    console(name, f"rm -rf {CONTROLLER}; mkdir -m 0700 {CONTROLLER}; apt-get clean")
    podman("cp", f"{keys(name)}/.", f"{name}:{CONTROLLER}/")
    console(name, FORGET)
    # A machine that has been shut down has its databases and its journal in order.
    podman("stop", "--time=60", name)
    # Encoded, since podman has quoting rules of its own there.
    label = json.dumps({"name": name, "address": described["address"], "command": command}).encode().hex()
    changes = [f"--change=LABEL {key}={value}" for key, value in ((LABEL, label), ("slipway.checkout", PROJECT))]
    podman("commit", "--quiet", *changes, name, tag)


def _forget_older(tag: str) -> None:
    """Remove the snapshots of the same scenario that nothing can be made from any more."""
    repository, _, version = tag.rpartition(":")
    debian = version.partition("-")[0]
    listed = podman("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={repository}")
    for other in set(listed.split()) - {tag}:
        if other.startswith(f"{repository}:{debian}-"):
            podman("rmi", "--force", other, check=False)


def _trim(folder: Path) -> None:
    """Remove the packages that were used longest ago until the others fit into the limit."""
    found = sorted(folder.glob("*.deb"), key=lambda path: path.stat().st_mtime, reverse=True)
    total = 0
    for path in found:
        total += path.stat().st_size
        if total > CACHE:
            path.unlink()


def clone(scenario: Scenario, unit: str) -> Path:
    """Boot a clone of a scenario's host; return its description.

    Raises:
        ConvergeError: there is no snapshot, and the scenario does not converge.
        AssertionError: the clone does not boot.
    """
    tag = snapshot(scenario)
    [host] = scenario.hosts
    name = scenario.vps(host, unit)
    discard(name)
    label = podman("image", "inspect", "--format", f'{{{{index .Labels "{LABEL}"}}}}', tag)
    was = json.loads(bytes.fromhex(label))
    folder = keys(name)
    folder.mkdir(mode=0o700, parents=True)
    ports = [word.split(":")[1] for word in was["command"] if word.startswith(f"{was['address']}:")]
    address = lease(folder, [int(port) for port in ports])

    def renamed(text: str) -> str:
        return text.replace(was["name"], name).replace(was["address"], address)

    # What was run then, with another name and address, from the snapshot.
    words = [renamed(word) for word in was["command"]]
    image = next(at for at, word in enumerate(words) if word.startswith("localhost/slipway-"))
    # The snapshot's own label would stand on the clone as well.
    subprocess.run([*words[:image], tag, *words[image + 1 :]], check=True, capture_output=True)
    _restore(name, address, renamed)
    return folder / "vps.json"


def _restore(name: str, address: str, renamed: Any) -> None:
    """Bring what the controller had of the host, and learn the clone's own keys."""
    folder = keys(name)
    podman("cp", f"{name}:{CONTROLLER}/.", str(folder))
    (folder / "address").write_text(f"{address}\n")
    (folder / "vps.json").write_text(renamed((folder / "vps.json").read_text()))
    asked = "systemctl is-system-running --wait"
    until(lambda: console(name, asked, check=False) in {"running", "degraded"}, f"{name} has booted")
    found = console(name, "cat /etc/ssh/ssh_host_*_key.pub").splitlines()
    known = f"[{address}]:2222,{name}"
    (folder / "known_hosts").write_text("".join(f"{known} {key}\n" for key in found))


def running() -> list[str]:
    """Return the names of the VPSs that runs of this checkout have left."""
    return podman("ps", "--all", "--format={{.Names}}", f"--filter=label={RUN}={CHECKOUT}").split()


def secrets() -> None:
    """Make the local environment's secrets, which every scenario's apps have."""
    command = ["ansible-playbook", "playbooks/environment.yml", "-e", "environment_name=local"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConvergeError(done.stdout + done.stderr)
