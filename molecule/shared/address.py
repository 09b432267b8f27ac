#!/usr/bin/env python3
"""Leases a loopback address to a test VPS: one that no other VPS of this machine has, whichever checkout it is from.

A lease is a link named after the address, to the folder of the VPS's keys. It ends when that folder is gone, so a run
that is killed leaves nothing that has to be given back.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

LEASES = Path("/run/lock/slipway-vps")
# 127.0.0.1 is the demo's and the machine's own.
NUMBERS = range(2, 255)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    LEASES.mkdir(parents=True, exist_ok=True)
    with (LEASES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _free(address: str, ports: list[int]) -> bool:
    """Whether nothing on this machine listens on any of the ports there, on all addresses included."""
    for port in ports:
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((address, port))
            except OSError:
                return False
    return True


def lease(folder: Path, ports: list[int]) -> str:
    """Return the address leased to the VPS whose keys are in `folder`, which it stays until the folder is removed.

    Raises:
        SystemExit: every address has been leased, or something listens on the ports of all of them.
    """
    file = folder / "address"
    with _locked():
        if file.exists():
            return file.read_text().strip()
        # Those of earlier VPSs of this name would count again, now that their folder is back.
        for earlier in list(LEASES.iterdir()):
            # Sockets of open connections lie there too.
            if earlier.is_symlink() and earlier.readlink() == folder:
                earlier.unlink()
        last = LEASES / "last"
        # In turn, so that no connection that is still kept open to a VPS that is gone meets its successor.
        start = int(str(last.readlink())) if last.is_symlink() else NUMBERS[0]
        for number in (*range(start + 1, NUMBERS.stop), *range(NUMBERS.start, start + 1)):
            address = f"127.0.{number}.1"
            link = LEASES / address
            if not link.exists() and _free(address, ports):
                link.unlink(missing_ok=True)
                link.symlink_to(folder)
                last.unlink(missing_ok=True)
                last.symlink_to(str(number))
                file.write_text(f"{address}\n")
                return address
    raise SystemExit(
        f"No loopback address from 127.0.{NUMBERS[0]}.1 to 127.0.{NUMBERS[-1]}.1 is free on the ports "
        f"{', '.join(map(str, ports))}. `ss -ltnp` shows what listens there: stop it, or remove old test hosts."
    )


if __name__ == "__main__":
    print(lease(Path(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
