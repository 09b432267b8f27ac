"""A checkout of its own with two environments, local and staging, each on a test host of its own.

It is made from the working tree, as a user's would be from a clone: the environments by playbooks/environment.yml, then
edited as a user edits them. converge.yml runs this file as a script, and the checks import it as a module of their
package. It imports no module of this folder, because the two would name it differently.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
DOMAINS = {app: f"{app}.staging.localhost" for app in ("guestbook", "environ", "pyfile", "tomlfile")}
# Secrets that break whatever quotes, splits, expands, trims or guesses. Each holds MARK, by which a leak is found,
# except those of digits alone.
MARK = "q7Zk3vXw"
SECRETS = [
    f"{MARK}\nsecond line\n",
    f"{MARK}\r\n\rcarriage",
    f'{MARK}\'"`\'\'"""',
    f"{MARK}$HOME ${{PATH}} $(id) `id` $$",
    f"{MARK}%h %i %% 100%",
    f"{MARK}{{{{ 7 * 7 }}}} {{% raw %}} {{# no #}}",
    f"{{{{ lookup('pipe', 'id') }}}}{MARK}",
    f"{MARK}\\n\\ trailing\\",
    f"-rf --{MARK}",
    f"  {MARK}\t ",
    f"#{MARK}; x=y & z | w > /dev/null",
    f'{{"{MARK}": [1, true, null]}}',
    f"!unsafe {MARK}",
    f"{MARK}\x01\x02\x07\x08\x1b[31m\x1f\x7f",
    f"{MARK}\x85\u2028\u2029\u200b\ufeff",
    f"{MARK} Grüße, мир, 世界 \U0001f510 e\u0301",
    "07318264950" * 4,
    "73182649501" * 4,
]
DIGITS = SECRETS[-2:]


def quoted(secret: str) -> str:
    """Return a secret as docs/secrets.md has one write it: marked as no template, but where it is a number."""
    # Escaped: YAML takes some characters beyond ASCII for line feeds.
    text = "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\U{ord(c):08x}" for c in secret)
    return ("" if secret.isdigit() and secret[0] != "0" else "!unsafe ") + f'"{text}"'


class Checkout:
    """A copy of the project with environments of its own.

    Args:
        root: its folder: of its hosts' own, since other hosts (another Debian's, another run's) have another checkout.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str, given: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of the project's tools in the checkout, as from a shell without molecule's variables."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_"))}
        kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept |= {"SLIPWAY_VAULT_PROMPT": "no", **variables}
        return subprocess.run(
            command, cwd=self.root, env=kept, input=given, capture_output=True, text=True, check=False
        )

    def must(self, *command: str, given: str | None = None, **variables: str) -> str:
        """Return what a tool prints.

        Raises:
            AssertionError: it failed.
        """
        result = self.run(*command, given=given, **variables)
        said = f"{result.stdout}{result.stderr}"
        assert result.returncode == 0, f"{' '.join(command)} ended with {result.returncode}:\n{said}"
        return result.stdout

    def playbook(self, name: str, environment: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook against the host of an environment."""
        return self.run("ansible-playbook", name, "-i", f"inventory/{environment}.yml", *more)

    def add_to_vault(self, environment: str, text: str) -> None:
        """Append to a vault in the way that a user does: ansible-vault edit."""
        editor = self.root / ".slipway" / "append"
        editor.write_text('#!/bin/sh\nprintf %s "$ADDED" >>"$1"\n')
        editor.chmod(0o700)
        vault = f"group_vars/{environment}/vault.yml"
        self.must("ansible-vault", "edit", vault, EDITOR=str(editor), ADDED=text)

    def copy(self) -> None:
        """Copy what git has or would take, without any environment's secrets."""
        shutil.rmtree(self.root, ignore_errors=True)
        command = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            if os.path.lexists(PROJECT / name):
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, self.root / name, follow_symlinks=False)

    def reach(self, environment: str, variables: dict[str, Any]) -> None:
        """Write the port and the keys of a host into its inventory, as its user would.

        Args:
            environment: whose only host it is.
            variables: of the test host: how Ansible connects to it, and its `vps_http_port` and `vps_https_port`.
        """
        host = {key: value for key, value in variables.items() if key.startswith("ansible_")}
        if environment == "local":
            # What its committed variables ask the test VPS for.
            ports = {key: variables[key] for key in ("vps_http_port", "vps_https_port")}
            host |= {"vps_keys": str(self.root / ".slipway"), **ports}
        else:
            host["https_public_port"] = variables["vps_https_port"]
        inventory = {environment: {"hosts": {f"{environment}1": host}}}
        (self.root / f"inventory/{environment}.yml").write_text(json.dumps(inventory))

    def furnish(self) -> None:
        """Give staging three more apps, and secrets of every kind to all."""
        shared = {"source": {"path": ""}, "health": {"path": "/"}}
        names = {f"NASTY_{number}": f"{{{{ vault_nasty_{number} }}}}" for number in range(len(SECRETS))}
        forms = {"pyfile": {"format": "python", "variable": "PYFILE_SETTINGS"}, "tomlfile": {"format": "toml"}}
        apps: dict[str, Any] = {}
        for app in ("environ", "pyfile", "tomlfile"):
            source = f"molecule/environments/apps/{app}"
            shutil.copy(PROJECT / "molecule/shared/hello/requirements.txt", self.root / source)
            apps[app] = {**shared, "source": {"path": source}, "wsgi": f"{app}_app:app", "domains": [DOMAINS[app]]}
            apps[app] |= {"settings": names, "settings_file": forms[app]} if app in forms else {"env": names}
        main = self.root / "group_vars/staging/main.yml"
        head, _, tail = main.read_text().partition("    settings:\n")
        more = "".join(f"      {key}: {json.dumps(value)}\n" for key, value in names.items())
        flask = {"FLASK_MOTTO": '{"like": "json"}', "FLASK_DIGITS": "12345678901234567890"}
        rest = "".join(f"  {app}: {json.dumps(keys)}\n" for app, keys in apps.items())
        main.write_text(f"{head}    settings:\n{more}{tail}    env: {json.dumps(flask)}\n{rest}")
        lines = [f"vault_nasty_{number}: {quoted(secret)}\n" for number, secret in enumerate(SECRETS)]
        self.add_to_vault("staging", "".join(lines))


def main() -> None:
    checkout = Checkout(Path(sys.argv[1]))
    hosts: dict[str, dict[str, Any]] = json.loads(sys.argv[2])
    checkout.copy()
    create = ["ansible-playbook", "playbooks/environment.yml"]
    checkout.must(*create, "-e", "environment_name=local")
    checkout.reach("local", hosts["local"])
    staging = [f"environment_host={hosts['staging']['ansible_host']}", f"environment_domain={DOMAINS['guestbook']}"]
    checkout.must(*create, "-e", "environment_name=staging", *(word for each in staging for word in ("-e", each)))
    checkout.reach("staging", hosts["staging"])
    checkout.furnish()
    for name in hosts:
        checkout.must("ansible-playbook", "site.yml", "-i", f"inventory/{name}.yml")


if __name__ == "__main__":
    main()
