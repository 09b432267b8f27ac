"""A filter that checks what backups need, before a host finds it missing in the night."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def problems_of_backups(given: dict[str, Any]) -> list[str]:
    """What is wrong with what is said of backups, one line each, the variable first.

    Args:
        given: the variables by name; nothing where nobody asks.
    """
    if not given or str(given["backup_enabled"]).lower() in {"false", "no", "off", "0"}:
        return []
    return list(_problems(given))


def _problems(given: dict[str, Any]) -> Iterator[str]:
    if not given["backup_password"]:
        yield (
            "vault_backup_password: is missing: put it into the environment's vault (a long random value; keep a copy "
            "elsewhere), or say backup_enabled: false to do without backups"
        )
    repository, key, host_key = (str(given[f"backup_{name}"]) for name in ("repository", "ssh_key", "ssh_host_key"))
    if repository.startswith("sftp:"):
        if not key:
            yield "vault_backup_ssh_key: is missing: a repository over SFTP needs a private key, in the vault"
        if not host_key:
            yield "backup_ssh_host_key: is missing: the public key of the SFTP server, as ssh-keyscan shows it"


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"problems_of_backups": problems_of_backups}
