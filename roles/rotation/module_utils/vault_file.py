"""Vault files, read and replaced without their plain text ever being on a disk, by the means of `ansible-vault`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


class VaultError(Exception):
    """A vault that cannot be read or written."""


def _ansible_vault(project: Path, arguments: list[str], text: str | None, identity: str | None) -> str:
    environment = dict(os.environ)
    if identity is not None:
        environment["ANSIBLE_VAULT_IDENTITY_LIST"] = identity
    result = subprocess.run(  # noqa: S603  # our own tool, and no shell
        [str(Path(sys.executable).parent / "ansible-vault"), *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
        env=environment,
    )
    if result.returncode:
        raise VaultError(result.stderr.strip())
    return result.stdout


def read(project: Path, vault: Path, identity: str | None = None) -> str:
    """The plain text of a vault.

    Args:
        project: the directory of ansible.cfg, which says where passwords come from.
        vault: the file.
        identity: where the password comes from instead, as in `vault_identity_list`.

    Raises:
        VaultError: its password is missing or wrong.
    """
    return _ansible_vault(project, ["view", str(vault)], None, identity)


def write(project: Path, vault: Path, text: str, vault_id: str, identity: str | None = None) -> None:
    """Replace a vault in one step by another text; killed at any point, one of the two is there whole.

    Raises:
        VaultError: it cannot be encrypted, or what was encrypted cannot be read back; nothing was changed.
    """
    encrypt = ["encrypt", "--encrypt-vault-id", vault_id, "--output", "-", "-"]
    content = _ansible_vault(project, encrypt, text, identity)

    def check(temporary: Path) -> None:
        if read(project, temporary, identity) != text:
            raise VaultError(f"{vault}: what was encrypted does not read back; nothing was changed")

    replace(vault, content.encode(), mode=vault.stat().st_mode & 0o7777, check=check)


def replace(path: Path, content: bytes, *, mode: int, check: Callable[[Path], None] | None = None) -> None:
    """Put a file in place durably: temporary file, fsync, check, rename, fsync of the directory."""
    path = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".slipway-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        if check:
            check(temporary)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames in a directory last."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
