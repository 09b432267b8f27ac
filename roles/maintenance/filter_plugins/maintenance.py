"""A filter that reads the addresses which maintenance leaves alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from ansible.errors import AnsibleFilterError


def maintenance_addresses(text: str) -> list[str]:
    """Addresses separated by commas or blanks, each as nginx writes it.

    Raises:
        AnsibleFilterError: one of them is none.
    """
    try:
        return [str(ipaddress.ip_address(word)) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise AnsibleFilterError(f"Nothing was changed: -e allow=… takes addresses, no networks: {error}") from None


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"maintenance_addresses": maintenance_addresses}
