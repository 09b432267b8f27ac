"""Two environments side by side, and secrets of every kind on their way from the vault to `app.config`."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from molecule.shared.vps import Response, Vps

from .checkout import DIGITS, DOMAINS, MARK, SECRETS, Checkout

ENVIRONMENTS = ("local", "staging")
BOOK = DOMAINS["guestbook"]


class Deployed(Checkout):
    """The checkout that converge.yml made, and its two hosts as their visitors and their operator see them.

    Args:
        hosts: by their environments' names.
    """

    def __init__(self, hosts: dict[str, Vps]) -> None:
        super().__init__(Path(hosts["local"].keys) / "checkout")
        # The authorities are the checkout's own: molecule's inventory knows of none.
        keys = self.root / ".slipway"
        authorities = {"local": keys / "authority.pem", "staging": keys / "authority/staging1.pem"}
        self.hosts = {name: replace(hosts[name], authority=str(authorities[name])) for name in ENVIRONMENTS}

    def ssh(self, environment: str, command: str) -> str:
        """Return what a command line prints that the operator gives over SSH; it need not be text."""
        result = subprocess.run([*self.hosts[environment].ssh, command], capture_output=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout.decode(errors="replace")

    def ask(self, environment: str, domain: str, path: str = "/", *arguments: str) -> Response:
        """Return the answer of a page asked with its certificate verified.

        Raises:
            AssertionError: there was none.
        """
        answer = self.hosts[environment].https(domain, path, *arguments)
        assert answer.status, answer.error
        return answer

    def deploy(self, *more: str) -> str:
        result = self.playbook("playbooks/deploy.yml", "staging", *more)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def rotate(self, *more: str) -> None:
        result = self.playbook("playbooks/rotate.yml", "staging", "-vvv", "--diff", *more)
        said = result.stdout + result.stderr
        assert result.returncode == 0, said
        assert MARK not in said
        assert [key for key in self.secret_keys("staging") if key in said] == []

    def release(self, app: str) -> str:
        return self.hosts["staging"].release(app)

    def secret_keys(self, environment: str) -> list[str]:
        held = self.must("ansible-vault", "view", f"group_vars/{environment}/vault.yml")
        return re.findall(r'!unsafe "([\w-]{64})"', held)


@pytest.fixture(scope="module")
def checkout(hosts: dict[str, Vps]) -> Deployed:
    return Deployed(hosts)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def test_each_environment_serves_its_own_pages_and_staging_says_noindex(checkout: Deployed) -> None:
    local = checkout.ask("local", "guestbook.localhost")
    assert local.status == 200
    assert "noindex" not in str(local)
    staging = checkout.ask("staging", BOOK)
    assert staging.status == 200
    assert staging.headers["x-robots-tag"].lower().startswith("noindex")
    assert '<meta name="robots" content="noindex' in staging.body


def test_each_has_its_own_password_and_secrets(checkout: Deployed) -> None:
    assert set(checkout.secret_keys("local")).isdisjoint(checkout.secret_keys("staging"))
    words = [(checkout.root / f".slipway/vault/{name}.password").read_text() for name in ENVIRONMENTS]
    assert words[0] != words[1]
    vaults = [(checkout.root / f"group_vars/{name}/vault.yml").read_text().splitlines()[0] for name in ENVIRONMENTS]
    assert vaults == [f"$ANSIBLE_VAULT;1.2;AES256;{name}" for name in ENVIRONMENTS]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_one_password_is_enough(checkout: Deployed, environment: str, tmp_path: Path) -> None:
    other = next(name for name in ENVIRONMENTS if name != environment)
    held = checkout.root / f".slipway/vault/{other}.password"
    held.rename(tmp_path / "password")
    try:
        result = checkout.playbook("playbooks/deploy.yml", environment)
    finally:
        (tmp_path / "password").rename(held)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "password" not in result.stderr
    assert "changed=0" in result.stdout


@pytest.mark.parametrize("app", ["environ", "pyfile", "tomlfile"])
def test_every_secret_arrives_byte_for_byte(checkout: Deployed, app: str) -> None:
    for number, secret in enumerate(SECRETS):
        answer = checkout.ask("staging", DOMAINS[app], f"/digest/NASTY_{number}")
        assert answer.status == 200
        assert answer.body == digest(secret), f"NASTY_{number}"


def test_they_arrive_in_the_reference_app_and_text_stays_text(checkout: Deployed) -> None:
    script = (
        f"import hashlib, json, wsgi; c = wsgi.app.config; names = [f'NASTY_{{i}}' for i in range({len(SECRETS)})]; "
        "print(json.dumps([[hashlib.sha256(c[n].encode()).hexdigest() for n in names], c['MOTTO'], c['DIGITS']]))"
    )
    digests, motto, digits = json.loads(checkout.ssh("staging", f'slipway run guestbook python -c "{script}"'))
    assert digests == [digest(secret) for secret in SECRETS]
    assert (motto, digits) == ('{"like": "json"}', "12345678901234567890")


@pytest.mark.parametrize("app", DOMAINS)
def test_settings_files_are_for_root_and_their_app(checkout: Deployed, app: str) -> None:
    listed = checkout.ssh("staging", f"stat -L -c '%a %U %G %n' /srv/{app}/current/settings.* /srv/{app}/current/env")
    modes = [line.split()[:3] for line in listed.splitlines()]
    assert modes == [["640", "root", app], ["600", "root", "root"]]
    other = next(name for name in DOMAINS if name != app)
    for user in (other, "nobody", "www-data"):
        for name in ("settings.*", "env"):
            tried = f"runuser -u {user} -- cat $(ls /srv/{app}/current/{name}) 2>&1 || true"
            assert "Permission denied" in checkout.ssh("staging", tried)
    assert stat.S_IMODE((checkout.root / ".slipway/vault/staging.password").stat().st_mode) == 0o600


def test_a_changed_secret_is_a_release_and_no_secret_shows_anywhere(checkout: Deployed) -> None:
    before = checkout.release("pyfile")
    fresh = f"{MARK}-changed-$'\"{{{{ x }}}}"
    vault = checkout.root / "group_vars/staging/vault.yml"
    held = vault.read_bytes()
    text = checkout.must("ansible-vault", "view", str(vault))
    lines = [line for line in text.splitlines() if not line.startswith("vault_nasty_0:")]
    changed = "\n".join([*lines, f"vault_nasty_0: !unsafe {json.dumps(fresh)}", ""])
    encrypt = ["ansible-vault", "encrypt", "--encrypt-vault-id", "staging", "--output", str(vault), "-"]
    checkout.must(*encrypt, given=changed)
    try:
        said = checkout.deploy("-vvv", "--diff")
        assert checkout.release("pyfile") != before
        assert checkout.ask("staging", DOMAINS["pyfile"], "/digest/NASTY_0").body == digest(fresh)
        rolled = checkout.playbook("playbooks/rollback.yml", "staging", "-e", "app=pyfile", "-vvv", "--diff")
        assert rolled.returncode == 0, rolled.stdout + rolled.stderr
        assert checkout.release("pyfile") == before
        assert checkout.ask("staging", DOMAINS["pyfile"], "/digest/NASTY_0").body == digest(SECRETS[0])
    finally:
        vault.write_bytes(held)
    said += rolled.stdout + rolled.stderr + checkout.deploy("-vvv", "--diff")
    secrets = {MARK, *DIGITS, *checkout.secret_keys("staging")}
    places = {
        "Ansible's output": said,
        "/etc": checkout.ssh(
            "staging", "grep -r '' /etc/systemd /etc/nginx /etc/gunicorn /etc/tmpfiles.d /etc/sysusers.d"
        ),
        "the journal": checkout.ssh("staging", "journalctl --no-pager -o export"),
        "command lines": checkout.ssh("staging", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"),
        "the release's record": checkout.ssh("staging", "cat /srv/*/releases/*/release.json /srv/*/journal.jsonl"),
    }
    for place, content in places.items():
        assert len(content) > 100, place
        assert [secret for secret in secrets if secret in content] == [], place
    # Except in molecule/environments, whose checkout.py lists the secrets.
    repository = checkout.run(
        "git", "grep", "-lF", "--no-index", *[word for secret in secrets for word in ("-e", secret)], "--", "."
    )
    found = {name for name in repository.stdout.splitlines() if not name.startswith("molecule/environments/")}
    assert found == set()


class Visitor:
    """Someone with a form open: the session cookie and the token that belongs to it."""

    def __init__(self, checkout: Deployed, jar: Path) -> None:
        self.checkout = checkout
        self.jar = ["--cookie", str(jar), "--cookie-jar", str(jar)]
        form = checkout.ask("staging", BOOK, "/", *self.jar).body
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
        assert found
        self.token = found[1]

    def sends(self) -> int:
        """The status that the form, sent now, is answered with: 303 where the session still counts."""
        fields = {"name": "Ada", "message": "Hello", "csrf_token": self.token}
        words = [word for key, value in fields.items() for word in ("--data-urlencode", f"{key}={value}")]
        # The jar as it is: an answer must not renew the session.
        return self.checkout.ask("staging", BOOK, "/", *self.jar[:2], *words).status


@pytest.fixture
def failed(checkout: Deployed) -> Iterator[Callable[[], tuple[int, list[int]]]]:
    """Ask all the time; tells how often, and which answers were not 200."""
    done, answers = threading.Event(), []

    def visit() -> None:
        while not done.is_set():
            try:
                answers.append(checkout.ask("staging", BOOK).status)
            except AssertionError:
                answers.append(0)

    thread = threading.Thread(target=visit)
    thread.start()
    yield lambda: (len(answers), [status for status in answers if status != 200])
    done.set()
    thread.join()


def test_a_rotation_logs_nobody_out_and_the_second_ends_old_sessions(
    checkout: Deployed, tmp_path: Path, failed: Callable[[], tuple[int, list[int]]]
) -> None:
    visitor = Visitor(checkout, tmp_path / "first")
    assert visitor.sends() == 303
    checkout.rotate("-e", "rotation_keep_days=0")
    assert visitor.sends() == 303
    later = Visitor(checkout, tmp_path / "later")
    checkout.rotate()
    assert visitor.sends() == 400
    assert later.sends() == 303
    asked, wrong = failed()
    print(f"{asked} requests, {len(wrong)} failed")
    assert asked > 50
    assert wrong == []


def test_a_new_vault_password_changes_nothing_else(checkout: Deployed) -> None:
    before = checkout.must("ansible-vault", "view", "group_vars/staging/vault.yml")
    checkout.must("ansible-playbook", "playbooks/rekey.yml", "-e", "environment_name=staging")
    assert checkout.must("ansible-vault", "view", "group_vars/staging/vault.yml") == before
    assert "changed=0" in checkout.deploy()


def test_what_cannot_arrive_is_refused_before_anything_changes(checkout: Deployed) -> None:
    vault = checkout.root / "group_vars/staging/vault.yml"
    held, before = vault.read_bytes(), checkout.ssh("staging", "readlink /srv/*/current; ls /srv/*/releases")
    checkout.add_to_vault(
        "staging", f'vault_nul: !unsafe "{MARK}\\0"\nvault_templated: "{{{{ 7 }}}}{MARK}"\nvault_number: 12345678\n'
    )
    try:
        result = checkout.playbook("playbooks/deploy.yml", "staging")
    finally:
        vault.write_bytes(held)
    said = " ".join(result.stdout.split())
    assert result.returncode != 0
    assert "vault_nul: holds a NUL character" in said
    assert "vault_templated: would be taken for a template" in said
    assert "vault_number: must be text and is int" in said
    assert MARK not in said
    assert checkout.ssh("staging", "readlink /srv/*/current; ls /srv/*/releases") == before
