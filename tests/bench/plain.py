"""What Slipway is measured against: a plain shell script over SSH that does the bare minimum of the same."""

from __future__ import annotations

import hashlib
import io
import shlex
import tarfile
from pathlib import Path

import yaml

from tests.bench import host

_SCRIPT = "sh /srv/sources/tests/bench/plain.sh"
_FILES = ("app", "molecule", "roles/python/files/uv.txt", "tests/bench/plain.sh")


def _packed(root: Path, *names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for name in names:
            archive.add(root / name, name)
    return buffer.getvalue()


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def site(sources: Path) -> float:
    """Send everything, install everything, serve it."""
    # The same packages: how long a mirror and dpkg take for them says nothing about either side.
    packages = yaml.safe_load((host.ROOT / "group_vars/all/main.yml").read_text())["host_packages"]
    for name in _FILES[2:]:
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_bytes((host.ROOT / name).read_bytes())
    unpack = "mkdir -p /srv/sources && tar -xz --no-same-owner -C /srv/sources"
    return host.seconds(host.ssh(f"{unpack} && {_SCRIPT} site {shlex.join(packages)}"), data=_packed(sources, *_FILES))


def deploy(sources: Path, app: str, release: str) -> float:
    """Unpack the code beside the old one, migrate where there is a database, restart, wait for its answer."""
    root, folder = sources / host.SOURCES[app], f"/srv/{app}/{release}"
    unpack = f"mkdir {folder} && tar -xz --no-same-owner -C {folder} && echo {_digest(root)} >/srv/{app}/digest"
    return host.seconds(host.ssh(f"{unpack} && {_SCRIPT} deploy {app} {folder}"), data=_packed(root, "."))


def deploy_unchanged(sources: Path) -> float:
    """Ask whether the host has the code of both apps already."""
    asked = (f"test $(cat /srv/{app}/digest) = {_digest(sources / root)}" for app, root in host.SOURCES.items())
    return host.seconds(host.ssh(" && ".join(asked)))


def rollback(app: str, release: str) -> float:
    """Restart the old code, wait for its answer."""
    return host.seconds(host.ssh(f"{_SCRIPT} serve {app} /srv/{app}/{release}"))
