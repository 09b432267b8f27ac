"""Two environments side by side, and secrets of every kind on their way from the vault to `app.config`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkout import DOMAINS, PROJECT, ROOT, Host, add_to_vault, must, playbook, run
from nasty import DIGITS, MARK, SECRETS

HOSTS = {name: Host(**values) for name, values in json.loads(os.environ["SLIPWAY_HOSTS"]).items()}
KEYS = {"local": ROOT / ".slipway", "staging": ROOT / ".slipway/authority"}
AUTHORITIES = {"local": KEYS["local"] / "authority.pem", "staging": KEYS["staging"] / "staging1.pem"}
BOOK = DOMAINS["guestbook"]


def ssh(environment: str, command: str) -> str:
    """What a command line prints that the operator gives over SSH."""
    host, keys = HOSTS[environment], PROJECT / ".slipway" / "vps" / HOSTS[environment].name
    options = ["-o", f"UserKnownHostsFile={keys}/known_hosts", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    words = ["ssh", "-p", str(host.ssh_port), "-i", f"{keys}/id_ed25519", *options, "root@127.0.0.1", command]
    result = subprocess.run(words, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.decode(errors="replace")


def ask(environment: str, domain: str, path: str = "/", *arguments: str) -> tuple[int, str]:
    """The status and the whole answer, headers included, of a page asked with its certificate verified."""
    port = HOSTS[environment].https_port
    command = ["curl", "-sS", "-i", "--max-time", "20", "--cacert", str(AUTHORITIES[environment])]
    command += ["--resolve", f"*:{port}:127.0.0.1", *arguments, f"https://{domain}:{port}{path}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[1]), result.stdout


def deploy(*more: str) -> str:
    result = playbook("playbooks/deploy.yml", "staging", *more)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def release(app: str) -> str:
    status = json.loads(ssh("staging", "slipway --json status"))
    return str(next(row["release"] for row in status if row["app"] == app))


def secret_keys(environment: str) -> list[str]:
    held = must("ansible-vault", "view", f"group_vars/{environment}/vault.yml")
    return re.findall(r'!unsafe "([\w-]{64})"', held)


def test_each_environment_serves_its_own_pages_and_staging_says_noindex() -> None:
    status, local = ask("local", "guestbook.localhost")
    assert status == 200
    assert "noindex" not in local
    status, staging = ask("staging", BOOK)
    assert status == 200
    assert "x-robots-tag: noindex" in staging.lower()
    assert '<meta name="robots" content="noindex' in staging


def test_each_has_its_own_password_and_secrets() -> None:
    assert set(secret_keys("local")).isdisjoint(secret_keys("staging"))
    words = [(ROOT / f".slipway/vault/{name}.password").read_text() for name in HOSTS]
    assert words[0] != words[1]
    vaults = [(ROOT / f"group_vars/{name}/vault.yml").read_text().splitlines()[0] for name in HOSTS]
    assert vaults == [f"$ANSIBLE_VAULT;1.2;AES256;{name}" for name in HOSTS]


@pytest.mark.parametrize("environment", HOSTS)
def test_one_password_is_enough(environment: str, tmp_path: Path) -> None:
    other = next(name for name in HOSTS if name != environment)
    held = ROOT / f".slipway/vault/{other}.password"
    held.rename(tmp_path / "password")
    try:
        result = playbook("playbooks/deploy.yml", environment)
    finally:
        (tmp_path / "password").rename(held)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "password" not in result.stderr
    assert "changed=0" in result.stdout


@pytest.mark.parametrize("app", ["environ", "pyfile", "tomlfile"])
def test_every_secret_arrives_byte_for_byte(app: str) -> None:
    for number, secret in enumerate(SECRETS):
        status, answer = ask("staging", DOMAINS[app], f"/digest/NASTY_{number}")
        assert status == 200
        assert answer.endswith(hashlib.sha256(secret.encode()).hexdigest()), f"NASTY_{number}"


def test_they_arrive_in_the_reference_app_and_text_stays_text() -> None:
    script = (
        f"import hashlib, json, wsgi; c = wsgi.app.config; names = [f'NASTY_{{i}}' for i in range({len(SECRETS)})]; "
        "print(json.dumps([[hashlib.sha256(c[n].encode()).hexdigest() for n in names], c['MOTTO'], c['DIGITS']]))"
    )
    digests, motto, digits = json.loads(ssh("staging", f'slipway run guestbook python -c "{script}"'))
    assert digests == [hashlib.sha256(secret.encode()).hexdigest() for secret in SECRETS]
    assert (motto, digits) == ('{"like": "json"}', "12345678901234567890")


@pytest.mark.parametrize("app", DOMAINS)
def test_settings_files_are_for_root_and_their_app(app: str) -> None:
    listed = ssh("staging", f"stat -L -c '%a %U %G %n' /srv/{app}/current/settings.* /srv/{app}/current/env")
    modes = [line.split()[:3] for line in listed.splitlines()]
    assert modes == [["640", "root", app], ["600", "root", "root"]]
    other = next(name for name in DOMAINS if name != app)
    for user in (other, "nobody", "www-data"):
        for name in ("settings.*", "env"):
            tried = f"runuser -u {user} -- cat $(ls /srv/{app}/current/{name}) 2>&1 || true"
            assert "Permission denied" in ssh("staging", tried)
    assert stat.S_IMODE((ROOT / ".slipway/vault/staging.password").stat().st_mode) == 0o600


def test_a_changed_secret_is_a_release_and_no_secret_shows_anywhere() -> None:
    before = release("pyfile")
    fresh = f"{MARK}-changed-$'\"{{{{ x }}}}"
    vault = ROOT / "group_vars/staging/vault.yml"
    held = vault.read_bytes()
    text = must("ansible-vault", "view", str(vault))
    lines = [line for line in text.splitlines() if not line.startswith("vault_nasty_0:")]
    changed = "\n".join([*lines, f"vault_nasty_0: !unsafe {json.dumps(fresh)}", ""])
    encrypt = ["ansible-vault", "encrypt", "--encrypt-vault-id", "staging", "--output", str(vault), "-"]
    must(*encrypt, given=changed)
    try:
        said = deploy("-vvv", "--diff")
        assert release("pyfile") != before
        assert ask("staging", DOMAINS["pyfile"], "/digest/NASTY_0")[1].endswith(
            hashlib.sha256(fresh.encode()).hexdigest()
        )
        rolled = playbook("playbooks/rollback.yml", "staging", "-e", "app=pyfile", "-vvv", "--diff")
        assert rolled.returncode == 0, rolled.stdout + rolled.stderr
        assert release("pyfile") == before
        old = hashlib.sha256(SECRETS[0].encode()).hexdigest()
        assert ask("staging", DOMAINS["pyfile"], "/digest/NASTY_0")[1].endswith(old)
    finally:
        vault.write_bytes(held)
    said += rolled.stdout + rolled.stderr + deploy("-vvv", "--diff")
    secrets = {MARK, *DIGITS, *secret_keys("staging")}
    places = {
        "Ansible's output": said,
        "/etc": ssh("staging", "grep -r '' /etc/systemd /etc/nginx /etc/gunicorn /etc/tmpfiles.d /etc/sysusers.d"),
        "the journal": ssh("staging", "journalctl --no-pager -o export"),
        "command lines": ssh("staging", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"),
        "the release's record": ssh("staging", "cat /srv/*/releases/*/release.json /srv/*/journal.jsonl"),
    }
    for place, content in places.items():
        assert len(content) > 100, place
        assert [secret for secret in secrets if secret in content] == [], place
    # The names of the nasty ones' own tests aside, which are in molecule/environments.
    repository = run(
        "git", "grep", "-lF", "--no-index", *[word for secret in secrets for word in ("-e", secret)], "--", "."
    )
    found = {name for name in repository.stdout.splitlines() if not name.startswith("molecule/environments/")}
    assert found == set()


class Visitor:
    """Someone with a form open: the session cookie and the token that belongs to it."""

    def __init__(self, jar: Path) -> None:
        self.jar = ["--cookie", str(jar), "--cookie-jar", str(jar)]
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', ask("staging", BOOK, "/", *self.jar)[1])
        assert found
        self.token = found[1]

    def sends(self) -> int:
        """The status that the form, sent now, is answered with: 303 where the session still counts."""
        fields = {"name": "Ada", "message": "Hello", "csrf_token": self.token}
        words = [word for key, value in fields.items() for word in ("--data-urlencode", f"{key}={value}")]
        # The jar as it is: an answer must not renew the session.
        return ask("staging", BOOK, "/", *self.jar[:2], *words)[0]


@pytest.fixture
def failed() -> Iterator[Callable[[], tuple[int, list[int]]]]:
    """Ask all the time; tells how often, and which answers were not 200."""
    done, answers = threading.Event(), []

    def visit() -> None:
        while not done.is_set():
            try:
                answers.append(ask("staging", BOOK)[0])
            except AssertionError:
                answers.append(0)

    thread = threading.Thread(target=visit)
    thread.start()
    yield lambda: (len(answers), [status for status in answers if status != 200])
    done.set()
    thread.join()


def rotate(*more: str) -> None:
    result = playbook("playbooks/rotate.yml", "staging", "-vvv", "--diff", *more)
    assert result.returncode == 0, result.stdout + result.stderr
    assert MARK not in result.stdout + result.stderr
    assert [key for key in secret_keys("staging") if key in result.stdout + result.stderr] == []


def test_a_rotation_logs_nobody_out_and_the_second_ends_old_sessions(
    tmp_path: Path, failed: Callable[[], tuple[int, list[int]]]
) -> None:
    visitor = Visitor(tmp_path / "first")
    assert visitor.sends() == 303
    rotate("-e", "rotation_keep_days=0")
    assert visitor.sends() == 303
    later = Visitor(tmp_path / "later")
    rotate()
    assert visitor.sends() == 400
    assert later.sends() == 303
    asked, wrong = failed()
    print(f"{asked} requests, {len(wrong)} failed")
    assert asked > 50
    assert wrong == []


def test_a_new_vault_password_changes_nothing_else() -> None:
    before = must("ansible-vault", "view", "group_vars/staging/vault.yml")
    must("ansible-playbook", "playbooks/rekey.yml", "-e", "environment_name=staging")
    assert must("ansible-vault", "view", "group_vars/staging/vault.yml") == before
    assert "changed=0" in deploy()


def test_what_cannot_arrive_is_refused_before_anything_changes() -> None:
    vault = ROOT / "group_vars/staging/vault.yml"
    held, before = vault.read_bytes(), ssh("staging", "readlink /srv/*/current; ls /srv/*/releases")
    add_to_vault(
        "staging", f'vault_nul: !unsafe "{MARK}\\0"\nvault_templated: "{{{{ 7 }}}}{MARK}"\nvault_number: 12345678\n'
    )
    try:
        result = playbook("playbooks/deploy.yml", "staging")
    finally:
        vault.write_bytes(held)
    said = " ".join(result.stdout.split())
    assert result.returncode != 0
    assert "vault_nul: holds a NUL character" in said
    assert "vault_templated: would be taken for a template" in said
    assert "vault_number: must be text and is int" in said
    assert MARK not in said
    assert ssh("staging", "readlink /srv/*/current; ls /srv/*/releases") == before
