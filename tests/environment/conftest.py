"""A checkout of its own for tests that write environments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent


@dataclass
class Checkout:
    """A copy of the project without any environment of the original."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "SLIPWAY_"))}
        # No desktop's keyring has a part in a test, and nobody is there to be asked.
        kept |= {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", "SLIPWAY_VAULT_PROMPT": "no"}
        kept["PATH"] = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [str(word) for word in command],
            cwd=self.root,
            env=kept | self.variables,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def environment(self, name: str, host: str = "", domain: str = "") -> subprocess.CompletedProcess[str]:
        words = {"environment_name": name, "environment_host": host, "environment_domain": domain}
        extra = [word for key, value in words.items() for word in ("-e", f"{key}={value}")]
        return self.run("ansible-playbook", "playbooks/environment.yml", *extra)

    def files(self) -> set[str]:
        found = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        # What Python leaves behind by itself, or not, as the environment has it.
        return {name for name in found if "__pycache__" not in name}

    def write_vault(self, name: str, text: str) -> None:
        """Replace a vault by other text, encrypted with the password that its environment has."""
        arguments = ["--encrypt-vault-id", name, "--output", f"group_vars/{name}/vault.yml", "-"]
        result = self.run("ansible-vault", "encrypt", *arguments, given=text)
        assert result.returncode == 0, result.stderr


def copy_project(target: Path) -> Checkout:
    for name in ("playbooks", "roles", "inventory"):
        shutil.copytree(ROOT / name, target / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("all", "db"):
        shutil.copytree(ROOT / "group_vars" / name, target / "group_vars" / name)
    configuration = (ROOT / "ansible.cfg").read_text().splitlines(keepends=True)
    only_local = "vault_identity_list = local@roles/environment/files/vault-client.py\n"
    lines = [only_local if line.startswith("vault_identity_list") else line for line in configuration]
    (target / "ansible.cfg").write_text("".join(lines))
    return Checkout(target)


@pytest.fixture
def bare(tmp_path: Path) -> Checkout:
    return copy_project(tmp_path)


@pytest.fixture(scope="session")
def _two(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_project(tmp_path_factory.mktemp("checkout"))
    for name in ("staging", "production"):
        result = checkout.environment(name, "198.51.100.7", f"{name}.example.com")
        assert result.returncode == 0, result.stdout + result.stderr
    return checkout


@pytest.fixture
def two(_two: Checkout, tmp_path: Path) -> Checkout:
    """A checkout with the environments staging and production."""
    shutil.copytree(_two.root, tmp_path / "checkout", symlinks=True)
    return Checkout(tmp_path / "checkout")
