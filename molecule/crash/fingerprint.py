"""Prints, as JSON, the state that a host is in: its files and what its services run with. Runs on the host itself."""

from __future__ import annotations

import datetime as dt
import grp
import hashlib
import json
import os
import pwd
import re
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDERS = ["/etc", "/home", "/opt", "/srv", "/usr/local", "/var/lib/slipway", "/var/lib/slipway-guard"]

# What no two hosts have in common, however they came about.
ABSENT = {
    r"/etc/(hostname|hosts|resolv\.conf|mtab)": "podman mounts them",
    r"/home/[^/]+/\.(ansible|cache)(/.*)?": "Ansible's, of the runs themselves",
    r"/srv/[^/]+/dumps/.*": "named after the time",
    r"/var/lib/slipway/backup(/.*)?": "a deploy that is made up for finds data to back up, a first one does not",
    r".*/__pycache__(/.*)?": "written whenever a module is first imported",
}
CONTENT = {
    r"/etc/machine-id": "made at the first boot",
    r"/etc/ssh/ssh_host_\w+(\.pub)?": "made on the host",
    r"/etc/ssl/slipway/.*\.pem": "made on the host",
    r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-": "what stood there before the last change",
    r"/etc/shadow": "holds the day of each change",
    r"/etc/ld\.so\.cache": "holds times",
    r"/home/[^/]+/\.ssh/authorized_keys": "another key opens each",
    r"/etc/slipway/operators\.nft": "says from where each was reached",
    r"/srv/[^/]+/journal\.jsonl": "says when",
    r"/srv/[^/]+/deploy\.lock": "says by whom it was held last",
    r"/srv/[^/]+/releases/[^/]+/release\.json": "says when it was built",
    r"/srv/[^/]+/shared/.*\.db": "holds times",
}
# Units that come and go by themselves.
PASSING = (
    r"(session|run|user|init)[-.@].*|systemd-(timedated|hostnamed|localed|tmpfiles-clean).*|apt-daily.*|.*\.device"
)


def access(path: Path) -> str:
    found = path.lstat()
    try:
        owner, group = pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        owner, group = str(found.st_uid), str(found.st_gid)
    return f"{stat.filemode(found.st_mode)} {owner}:{group}"


def content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if not path.is_file() or any(re.fullmatch(pattern, str(path)) for pattern in CONTENT):
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files() -> dict[str, str]:
    """Type, permissions, owners and content of every file that a run may write."""
    found: dict[str, str] = {}
    for folder in FOLDERS:
        for path in [Path(folder), *Path(folder).rglob("*")]:
            if not any(re.fullmatch(pattern, str(path)) for pattern in ABSENT):
                found[str(path)] = f"{access(path)} {content(path)}".strip()
    return found


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def units() -> dict[str, str]:
    """How each unit starts, and those that run now."""
    installed = [line.split() for line in said("systemctl", "list-unit-files", "--plain", "--no-legend").splitlines()]
    loaded = said("systemctl", "list-units", "--plain", "--no-legend", "--state=active,failed,activating")
    active = [line.split() for line in loaded.splitlines()]
    found = {f"{words[0]} installed": words[1] for words in installed} | {
        words[0]: " ".join(words[1:4]) for words in active
    }
    return {unit: state for unit, state in found.items() if not re.match(PASSING, unit)}


def services() -> Iterator[dict[str, str]]:
    """What systemd knows of each service that runs."""
    names = said("systemctl", "list-units", "--plain", "--no-legend", "--state=running", "--type=service").splitlines()
    wanted = "Id,MainPID,NeedDaemonReload,FragmentPath,DropInPaths,ExecMainStartTimestamp"
    shown = said(
        "systemctl", "show", "--timestamp=us+utc", f"--property={wanted}", *(line.split()[0] for line in names)
    )
    for block in shown.strip().split("\n\n"):
        yield dict(line.split("=", 1) for line in block.splitlines())


def started(service: dict[str, str]) -> float:
    when = service["ExecMainStartTimestamp"].replace(" UTC", " +0000")
    return dt.datetime.strptime(when, "%a %Y-%m-%d %H:%M:%S.%f %z").timestamp()


def changed(paths: list[Path], *, folders: bool = False) -> float:
    """When the last of these files, and of those below, has changed."""
    found = [each for path in paths if path.exists() for each in (path, *path.rglob("*"))]
    return max((each.lstat().st_ctime for each in found if folders or not each.is_dir()), default=0)


def worker_of_nginx() -> float:
    """When the oldest of nginx's workers started that take new requests: as they did, nginx read its files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_text().startswith("nginx: worker process\0"):
                ticks = int((process / "stat").read_text().rpartition(")")[2].split()[19])
                age = float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
                found.append(time.time() - age)
        except FileNotFoundError:
            continue
    return min(found, default=0)


def running() -> dict[str, Any]:
    """What services run with."""
    found: dict[str, Any] = {
        "firewall": re.sub(
            r"(set \w+ \{\s+type[^}]*dynamic[^}]*?)elements = \{[^}]*\}", r"\1", said("nft", "-s", "list", "ruleset")
        ),
        "ssh": said("/usr/sbin/sshd", "-T"),
        "nginx": said("nginx", "-T"),
        "limits": said("systemctl", "show", "--property=DefaultLimitCORE,DefaultLimitNOFILE"),
        "mounts": said("findmnt", "--noheadings", "--output=TARGET,OPTIONS", "/tmp", "/dev/shm"),  # noqa: S108
        "packages": said("dpkg-query", "--show", "--showformat=${Package} ${Version} ${db:Status-Status}\n"),
        "clock": said("date", "+%Z"),
        "apps": {row["app"]: row["release"] for row in json.loads(said("slipway", "--json", "status") or "[]")},
    }
    text = Path("/etc/sysctl.d/90-slipway.conf").read_text()
    keys = re.findall(r"^-?([\w.]+) = ", text, re.MULTILINE)
    found["kernel"] = {key: Path("/proc/sys", *key.split(".")) for key in keys}
    found["kernel"] = {key: path.read_text() for key, path in found["kernel"].items() if path.exists()}
    # Who runs with something older than what is there now.
    reads = {
        "fail2ban.service": [Path("/etc/fail2ban")],
        "ssh.service": [Path("/etc/ssh/sshd_config"), Path("/etc/ssh/sshd_config.d")],
        "systemd-journald.service": [Path("/etc/systemd/journald.conf.d")],
    }
    found["behind"] = []
    for service in services():
        own = [Path(path) for path in (service["FragmentPath"], *service["DropInPaths"].split()) if path]
        if service["NeedDaemonReload"] == "yes" or changed([*own, *reads.get(service["Id"], [])]) > started(service):
            found["behind"].append(service["Id"])
    loaded = worker_of_nginx()
    if max(changed([Path("/etc/nginx")], folders=True), changed([Path("/etc/ssl/slipway")])) > loaded:
        found["behind"].append("nginx's workers")
    return found


print(json.dumps({"files": files(), "units": units(), "running": running()}))
