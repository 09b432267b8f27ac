"""Asks websites over HTTPS at a given address, whatever DNS says."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

_SITE = {
    "domains": {"type": "list", "elements": "str", "required": True},
    "health": {"type": "dict", "default": {}},
    "access": {"type": "dict", "default": {}},
}
_OPTIONS = {
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "default": 443},
    "authority": {"type": "path"},
    "sites": {"type": "list", "elements": "dict", "options": _SITE, "required": True},
    "timeout": {"type": "int", "default": 10},
}


class Connection(http.client.HTTPSConnection):
    """HTTPS to one address under another name."""

    def __init__(self, address: str, port: int, name: str, context: ssl.SSLContext, timeout: int) -> None:
        super().__init__(address, port, timeout=timeout, context=context)
        self._name, self._tls = name, context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self._name)


def ask(connection: Connection, host: str, path: str) -> tuple[int, bool]:
    """The status that a site answers with, and whether that is because it is in maintenance."""
    try:
        connection.request("GET", path, headers={"Host": host, "User-Agent": "slipway-visit"})
        response = connection.getresponse()
        return response.status, response.getheader("X-Maintenance") == "yes"
    finally:
        connection.close()


def trusting(authority: str | None) -> ssl.SSLContext:
    """A context that verifies certificates against the machine's own authorities, and the one that was named.

    One that is not there is not missed: only a host that signs certificates itself has it, and copies it here.

    Raises:
        AnsibleActionFail: the authority cannot be read.
    """
    context = ssl.create_default_context()
    if authority and Path(authority).exists():
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            raise AnsibleActionFail(f"{authority} on this machine holds no authority to trust: {error}") from None
    return context


def guarded(access: dict[str, Any]) -> set[int]:
    """The statuses with which a site turns a stranger away, as it was asked to."""
    return ({401} if access.get("users") else set()) | ({403} if access.get("allow") else set())


def visit(options: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Each site with its status, and what is wrong."""
    address, port = options["address"], options["port"]
    context = trusting(options["authority"])
    results: list[dict[str, Any]] = []
    problems = []
    for site in options["sites"]:
        domain, path = site["domains"][0], site["health"].get("path", "/")
        wanted = site["health"].get("status", 200)
        host = domain if port == 443 else f"{domain}:{port}"
        url = f"https://{host}{path}"
        try:
            status, closed = ask(Connection(address, port, domain, context, options["timeout"]), host, path)
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"No answer from {url} at {address}: {error}")
            continue
        results.append({"url": url, "status": status})
        if status not in {wanted, *guarded(site["access"])} and not closed:
            problems.append(f"{url} at {address} answered {status}, not {wanted}")
    return results, problems


class ActionModule(ActionBase):
    """Runs the `visit` task; see the module of the same name for its options."""

    # A module on the controller would cost as much as one on the host: a Python of its own to start.
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=_OPTIONS)
        sites, problems = visit(options)
        result.update(changed=False, sites=sites)
        if problems:
            result.update(failed=True, msg="\n".join(problems))
        return result
