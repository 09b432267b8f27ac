"""A checkout of its own with two environments, local and staging, each on a test host of its own.

It lies in .slipway/environments/<Debian>/ and is made from the working tree, as a user's would be from a clone: the
environments by playbooks/environment.yml, then edited as a user edits them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasty import SECRETS

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
# The two Debians run side by side.
ROOT = PROJECT / ".slipway" / "environments" / os.environ.get("VPS_DEBIAN", "12")
DOMAINS = {app: f"{app}.staging.localhost" for app in ("guestbook", "environ", "pyfile", "tomlfile")}


@dataclass(frozen=True)
class Host:
    """A test host, as Ansible is told to reach it."""

    name: str
    ssh_port: int
    http_port: int
    https_port: int


def run(*command: str, given: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one of the project's tools in the checkout, as from a shell without molecule's variables."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_"))}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept |= {"SLIPWAY_VAULT_PROMPT": "no", **variables}
    return subprocess.run(command, cwd=ROOT, env=kept, input=given, capture_output=True, text=True, check=False)


def must(*command: str, given: str | None = None, **variables: str) -> str:
    result = run(*command, given=given, **variables)
    if result.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result.stdout


def playbook(name: str, environment: str, *more: str) -> subprocess.CompletedProcess[str]:
    return run("ansible-playbook", name, "-i", f"inventory/{environment}.yml", *more)


def copy() -> None:
    """Copy what git has or would take, without any environment's secrets."""
    shutil.rmtree(ROOT, ignore_errors=True)
    command = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if os.path.lexists(PROJECT / name):
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, ROOT / name, follow_symlinks=False)


def reach(environment: str, host: Host) -> None:
    """Write the port and the keys of a host into its inventory, as its user would."""
    keys = PROJECT / ".slipway" / "vps" / host.name
    options = f'-o UserKnownHostsFile="{keys}/known_hosts" -o IdentitiesOnly=yes'
    variables: dict[str, Any] = {
        "ansible_host": "127.0.0.1",
        "ansible_user": "root",
        "ansible_port": host.ssh_port,
        "ansible_ssh_private_key_file": f"{keys}/id_ed25519",
        "ansible_ssh_common_args": options,
        "https_public_port": host.https_port,
    }
    if environment == "local":
        # What its committed variables ask the test VPS for.
        ports = {"vps_http_port": host.http_port, "vps_https_port": host.https_port}
        variables |= {"vps_keys": str(ROOT / ".slipway"), **ports}
        del variables["https_public_port"]
    inventory = {environment: {"hosts": {f"{environment}1": variables}}}
    (ROOT / f"inventory/{environment}.yml").write_text(json.dumps(inventory))


def quoted(secret: str) -> str:
    """A secret as docs/secrets.md has one write it: marked, so that it is no template, but where it is a number."""
    # Escaped: YAML takes some characters beyond ASCII for line feeds.
    text = "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\U{ord(c):08x}" for c in secret)
    return ("" if secret.isdigit() and secret[0] != "0" else "!unsafe ") + f'"{text}"'


def furnish() -> None:
    """Give staging three more apps, and secrets of every kind to all."""
    shared = {"source": {"path": ""}, "health": {"path": "/"}}
    names = {f"NASTY_{number}": f"{{{{ vault_nasty_{number} }}}}" for number in range(len(SECRETS))}
    forms = {"pyfile": {"format": "python", "variable": "PYFILE_SETTINGS"}, "tomlfile": {"format": "toml"}}
    apps: dict[str, Any] = {}
    for app in ("environ", "pyfile", "tomlfile"):
        source = f"molecule/environments/apps/{app}"
        shutil.copy(PROJECT / "molecule/shared/hello/requirements.txt", ROOT / source)
        apps[app] = {**shared, "source": {"path": source}, "wsgi": f"{app}_app:app", "domains": [DOMAINS[app]]}
        apps[app] |= {"settings": names, "settings_file": forms[app]} if app in forms else {"env": names}
    main = ROOT / "group_vars/staging/main.yml"
    head, _, tail = main.read_text().partition("    settings:\n")
    more = "".join(f"      {key}: {json.dumps(value)}\n" for key, value in names.items())
    flask = {"FLASK_MOTTO": '{"like": "json"}', "FLASK_DIGITS": "12345678901234567890"}
    rest = f"    env: {json.dumps(flask)}\n" + "".join(f"  {app}: {json.dumps(keys)}\n" for app, keys in apps.items())
    main.write_text(f"{head}    settings:\n{more}{tail}{rest}")
    lines = [f"vault_nasty_{number}: {quoted(secret)}\n" for number, secret in enumerate(SECRETS)]
    add_to_vault("staging", "".join(lines))


def add_to_vault(environment: str, text: str) -> None:
    """Append to a vault in the way that a user does: ansible-vault edit."""
    editor = PROJECT / ".slipway" / "append"
    editor.write_text('#!/bin/sh\nprintf %s "$ADDED" >>"$1"\n')
    editor.chmod(0o700)
    must("ansible-vault", "edit", f"group_vars/{environment}/vault.yml", EDITOR=str(editor), ADDED=text)


def main() -> None:
    hosts = {name: Host(**values) for name, values in json.loads(sys.argv[1]).items()}
    copy()
    create = ["ansible-playbook", "playbooks/environment.yml"]
    must(*create, "-e", "environment_name=local")
    reach("local", hosts["local"])
    domain = f"environment_domain={DOMAINS['guestbook']}"
    must(*create, "-e", "environment_name=staging", "-e", "environment_host=127.0.0.1", "-e", domain)
    reach("staging", hosts["staging"])
    furnish()
    for name in hosts:
        must("ansible-playbook", "site.yml", "-i", f"inventory/{name}.yml")


if __name__ == "__main__":
    main()
