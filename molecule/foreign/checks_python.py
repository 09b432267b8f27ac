"""A Python of the user's choice, from a mirror of our own: an app is built with it, runs on it and keeps it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

# Debian's own Python finds its library beside itself, wherever it is: packed like this it is a build such as uv
# downloads. The list has it once as the version that it is, and in `newer` also as a later one.
MIRROR = """
set -eu
rm -rf /opt/mirror; mkdir -p /opt/mirror/python/bin /opt/mirror/python/lib; cd /opt/mirror
python=$(readlink /usr/bin/python3)
cp /usr/bin/$python python/bin/; ln -s $python python/bin/python3
cp -a /usr/lib/$python python/lib/; find python -lname '/*' -delete
tar -czf python.tar.gz python; rm -r python
/usr/bin/python3 - <<'END'
import hashlib, json, pathlib, platform, sys
arch = platform.machine()
def listed(patch, digest=None):
    archive = pathlib.Path("/opt/mirror/python.tar.gz")
    return {
        f"cpython-3.{sys.version_info.minor}.{patch}-linux-{arch}-gnu": {
            "name": "cpython", "arch": {"family": arch, "variant": None}, "os": "linux", "libc": "gnu",
            "major": 3, "minor": sys.version_info.minor, "patch": patch, "prerelease": "", "variant": None,
            "build": "20260101", "url": archive.as_uri(),
            "sha256": digest or hashlib.sha256(archive.read_bytes()).hexdigest(),
        }
    }
own = sys.version_info.micro
lists = {"own": listed(own), "newer": listed(own) | listed(99), "wrong": listed(own, "0" * 64)}
for name, builds in lists.items():
    pathlib.Path(f"/opt/mirror/{name}.json").write_text(json.dumps(builds))
print(f"3.{sys.version_info.minor}")
END
"""


@pytest.fixture(scope="module")
def version(vps: Any) -> str:
    """The distribution's version of Python, of which the mirror has builds as well."""
    return str(vps.run("sh", "-c", MIRROR))


def run(vps: Any, project: Path, python: str, builds: str, *arguments: str, playbook: str = "site.yml") -> Any:
    """Run a playbook for an app that names a Python, with a list of the mirror's."""
    app = yaml.safe_load((project / "molecule/foreign/vars/apps.yml").read_text())["apps"]["httpbin"]
    given = {
        "apps": {"httpbin": {**app, "python": python}},
        "python_distribution": False,
        "python_downloads": f"/opt/mirror/{builds}.json",
    }
    return vps.playbook(playbook, "-e", json.dumps(given), *arguments)


def serving(vps: Any) -> str:
    """The program that answers, behind all links."""
    pid = vps.run("systemctl", "show", "-P", "MainPID", f"httpbin@{vps.release('httpbin')}.service")
    return str(vps.run("readlink", "-f", f"/proc/{pid}/exe"))


def healthy(vps: Any) -> bool:
    answer = vps.https("httpbin.localhost", "/get?a=b")
    return bool(answer.status == 200 and json.loads(answer.body)["args"] == {"a": "b"})


def test_what_cannot_be_had_is_refused_and_the_app_serves_on(vps: Any, project: Path, version: str) -> None:
    before = serving(vps)
    for python, builds, cause in (
        (version, "wrong", "Hash mismatch"),
        (version, "missing", "/opt/mirror/missing.json"),
        ("3.9", "own", "No download found"),
    ):
        refused = run(vps, project, python, builds)
        assert refused.returncode == 2
        assert f"Python {python} could not be installed on this host. Tried:" in refused.stdout
        assert cause in refused.stdout
        assert "set python_mirror or python_downloads" in refused.stdout
        assert vps.run("ls", "/opt/python") == ""
    assert serving(vps) == before
    assert healthy(vps)


def test_an_app_runs_on_the_python_that_it_names_until_told_otherwise(vps: Any, project: Path, version: str) -> None:
    before = vps.release("httpbin")
    foretold = run(vps, project, version, "own", "--check", "--diff")
    assert foretold.returncode == 0, foretold.stdout
    assert f"Link to Python {version}" in foretold.stdout
    assert vps.run("ls", "/opt/python") == ""

    done = run(vps, project, version, "own")
    assert done.returncode == 0, done.stdout
    assert healthy(vps)
    old, old_release = serving(vps), vps.release("httpbin")
    assert old.startswith(f"/opt/python/cpython-{version}.")
    assert old_release != before
    assert vps.run("find", "/opt/python", "-not", "-user", "root", "-o", "-type", "d", "-not", "-perm", "-005") == ""
    assert vps.run("find", "/opt/python", "-not", "-type", "l", "-perm", "/022") == ""

    # A newer patch is no reason to change anything.
    again = run(vps, project, version, "newer")
    assert "changed=0" in again.stdout, again.stdout
    assert serving(vps) == old

    asked = run(vps, project, version, "newer", "-e", "python_upgrade=true")
    assert asked.returncode == 0, asked.stdout
    assert serving(vps).startswith(f"/opt/python/cpython-{version}.99-")
    assert healthy(vps)

    back = run(vps, project, version, "newer", "-e", f"release={old_release}", playbook="playbooks/rollback.yml")
    assert back.returncode == 0, back.stdout
    assert serving(vps) == old
    assert healthy(vps)
