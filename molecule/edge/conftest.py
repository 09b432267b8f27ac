"""What a clone of the edge's VPS needs: its authority forgets everything whenever it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from molecule.shared.vps import Vps
from molecule.shared.waiting import until

ACCOUNTS = "/var/lib/slipway/acme/accounts"
ROOT = """
import ssl, urllib.request
context = ssl.create_default_context(cafile="/etc/pebble/certificate.pem")
print(urllib.request.urlopen("https://localhost:15000/roots/0", context=context).read().decode())
"""


@pytest.fixture(scope="module")
def vps(vps: Vps) -> Vps:
    """The VPS, whose visitors trust the root that its authority has made at its start, beside the one before."""
    if f"ADDRESS={vps.address}" != vps.run("cat", "/etc/pebble/address"):
        vps.run("sh", "-c", f"echo ADDRESS={vps.address} >/etc/pebble/address; systemctl restart pebble-challtestsrv")
        root = until(lambda: vps.run("python3", "-c", ROOT, check=False), "the authority has started")
        authority = Path(vps.authority)
        authority.write_text(f"{authority.read_text()}{root}\n")
        # The authority knows none of them any more.
        vps.run("rm", "-rf", ACCOUNTS)
    return vps


@pytest.fixture(scope="module")
def certified(vps: Vps) -> None:
    """Have certificates that the authority knows of."""
    apps = [row["app"] for row in json.loads(vps.run("slipway", "--json", "status"))]
    for app in apps:
        vps.run("touch", f"/var/lib/slipway/acme/{app}/renew")
        vps.run("systemctl", "start", f"slipway-certificate@{app}.service")
