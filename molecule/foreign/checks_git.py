"""An app from a git repository that only a deploy key opens: what is pushed is served, what is wrong is named."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

# A server for git: its developers may push, the deploy key may read this one repository.
SERVER = """
set -eu
command -v git >&2 || apt-get -qq install --no-install-recommends git </dev/null >&2
id git >/dev/null 2>&1 || useradd --create-home --home-dir /var/lib/git --shell /usr/bin/git-shell git
cd /var/lib/git; rm -rf shop.git .ssh; umask 077; mkdir .ssh
printf '%s\\n' "$1" "restrict,command=\\"git-upload-pack '/var/lib/git/shop.git'\\" $2" >.ssh/authorized_keys
git init --quiet --bare --initial-branch=main shop.git
chown -R git:git /var/lib/git
cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub
"""


@dataclass
class Repository:
    """A repository on the VPS, and a clone of it here.

    Args:
        clone: the clone.
        url: what an app names.
        host_key: of the server.
        key: the deploy key.
        stranger: a key that opens nothing.
        push: the command that git connects with to push.
    """

    clone: Path
    url: str
    host_key: str
    key: str
    stranger: str
    push: str

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        environment = {**os.environ, "GIT_SSH_COMMAND": self.push}
        command = ["git", "-C", str(self.clone), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()

    def publish(self, word: str, *, folder: str = ".") -> str:
        """Push an app that says a word; the commit, as lists of releases show it."""
        page = self.clone / folder / "hello.py"
        page.write_text(re.sub(r'"GREETING", ".*?"', f'"GREETING", "{word}"', page.read_text()))
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", word)
        self.git("push", "--quiet", self.url, "HEAD:main")
        return self.git("rev-parse", "HEAD")[:12]


def key_pair(path: Path) -> tuple[str, str]:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)], check=True)
    return path.read_text(), path.with_suffix(".pub").read_text().strip()


@pytest.fixture(scope="module")
def repository(vps: Any, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    folder = tmp_path_factory.mktemp("git")
    _, developer = key_pair(folder / "developer")
    key, public = key_pair(folder / "deploy")
    stranger, _ = key_pair(folder / "stranger")
    host_key = vps.run("sh", "-c", SERVER, "sh", developer, public).splitlines()[-1]
    port = vps.ssh[vps.ssh.index("-p") + 1]
    url = f"ssh://git@{vps.address}:{port}/var/lib/git/shop.git"
    # As for the VPS itself, with another key.
    connect = [str(folder / "developer") if word.endswith("/id_ed25519") else word for word in vps.ssh[:-1]]
    made = Repository(folder / "clone", url, host_key, key, stranger, shlex.join(connect))
    subprocess.run(["cp", "-r", str(project / "molecule/shared/hello"), str(made.clone)], check=True)
    made.git("init", "--quiet", "--initial-branch=main")
    (made.clone / "sub").mkdir()
    for name in ("hello.py", "requirements.txt"):
        (made.clone / "sub" / name).write_text((made.clone / name).read_text())
    return made


@dataclass
class Deploy:
    """Deploys the app from its repository beside one that stays, and sees that Ansible says no word of the key."""

    vps: Any
    repository: Repository
    file: Path
    beside: dict[str, Any]

    def __call__(self, playbook: str = "playbooks/deploy.yml", **changes: str) -> Any:
        repository = self.repository
        source = {"git": repository.url, "version": "main", "host_key": repository.host_key, **changes}
        secret = source.pop("key", repository.key)
        app = {
            "source": {**source, "key": "{{ vault_gitted_deploy_key }}"},
            "wsgi": "hello:app",
            "domains": ["gitted.localhost"],
            "health": {"path": "/healthz"},
        }
        apps = json.dumps({**self.beside, "gitted": app})
        self.file.write_text(f"vault_gitted_deploy_key: !unsafe {json.dumps(secret)}\napps: {apps}\n")
        done = self.vps.playbook(playbook, "-vvv", "-e", f"@{self.file}")
        for line in secret.splitlines()[1:-1]:
            assert line not in done.stdout + done.stderr
        return done

    def served(self) -> tuple[str, str]:
        """The word that visitors see, and the commit that it comes from."""
        page = self.vps.https("gitted.localhost").body
        listed = json.loads(self.vps.run("slipway", "--json", "releases", "gitted"))
        serving = next(row for row in listed if row["release"] == self.vps.release("gitted"))
        return re.findall("<p>(.*)</p>", page)[0], serving["revision"]


@pytest.fixture(scope="module")
def deploy(vps: Any, project: Path, repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    # checks_python.py goes on with it.
    stays = {"httpbin": yaml.safe_load((project / "molecule/foreign/vars/apps.yml").read_text())["apps"]["httpbin"]}
    return Deploy(vps, repository, tmp_path_factory.mktemp("deploy") / "vars.yml", stays)


def test_what_is_pushed_is_served(vps: Any, repository: Repository, deploy: Deploy) -> None:
    first = repository.publish("one")
    done = deploy("site.yml")
    assert done.returncode == 0, done.stdout
    assert deploy.served() == ("one", first)
    release = vps.release("gitted")

    second = repository.publish("two")
    done = deploy()
    assert done.returncode == 0, done.stdout
    assert deploy.served() == ("two", second)
    assert "changed=0" in deploy().stdout

    # By tag, and it is the very release that it was as a branch.
    repository.git("tag", "--annotate", "--message", "v1", "v1", first)
    repository.git("push", "--quiet", repository.url, "v1")
    done = deploy(version="v1")
    assert done.returncode == 0, done.stdout
    assert deploy.served() == ("one", first)
    assert vps.release("gitted") == release

    below = repository.publish("below", folder="sub")
    done = deploy(version=repository.git("rev-parse", "HEAD"), path="sub")
    assert done.returncode == 0, done.stdout
    assert deploy.served() == ("below", below)
    assert "static" not in vps.run("ls", "/srv/gitted/current/src")


def test_what_is_wrong_is_named_and_the_old_release_serves(vps: Any, repository: Repository, deploy: Deploy) -> None:
    before = deploy.served()
    url = repository.url
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    for change, message in (
        ({"key": repository.stranger}, f"apps.gitted.source.key: {url} does not let this key in. git says:"),
        ({"host_key": other}, f"apps.gitted.source.host_key: the server of {url} shows another key than this one."),
        ({"version": "v9"}, f"apps.gitted.source.version: {url} has no branch or tag v9"),
        ({"version": "0" * 39 + "1"}, f"apps.gitted.source.version: {url} has no commit 0000000"),
        ({"path": "nowhere"}, f"apps.gitted.source.path: {url} has no directory nowhere at main"),
    ):
        failed = deploy(**change)
        assert failed.returncode == 2
        assert message in failed.stdout
        assert deploy.served() == before

    vps.run("mv", "/var/lib/git/shop.git", "/var/lib/git/elsewhere.git")
    try:
        failed = deploy()
    finally:
        vps.run("mv", "/var/lib/git/elsewhere.git", "/var/lib/git/shop.git")
    assert failed.returncode == 2
    assert f"apps.gitted.source.git: there is no repository at {url}" in failed.stdout
    assert deploy.served() == before


def test_no_key_is_left_on_either_machine(vps: Any, project: Path, repository: Repository) -> None:
    for secret in (repository.key, repository.stranger):
        line = secret.splitlines()[2]
        search = f"grep -rlsF -e {shlex.quote(line)}"
        memory = "/dev/shm"  # noqa: S108 - it is looked at, not used
        here = [*shlex.split(search), memory, str(project / ".slipway")]
        assert subprocess.run(here, capture_output=True, text=True, check=False).stdout == ""
        everywhere = "/srv /etc /root /tmp /var/tmp /var/log /run /dev/shm"
        assert vps.run("sh", "-c", f"{search} {everywhere}", check=False) == ""
