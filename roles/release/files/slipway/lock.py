"""One transaction an app at a time.

The lock is the kernel's: it goes when its holder dies, however it dies, so a dead deploy never leaves one behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from slipway.errors import BUSY, SlipwayError
from slipway.layout import Layout

held_by: set[int] = set()
"""The descriptors of the locks that this process holds.

A command of the transaction inherits them: should this process be killed while a migration runs, the lock stays until
the migration has ended, and no second one begins beside it.
"""


@contextlib.contextmanager
def held(layout: Layout, *, actor: str, timeout: float) -> Iterator[None]:
    """Hold the app's lock, waiting up to `timeout` seconds for another holder.

    Raises:
        SlipwayError: with code BUSY, saying who holds it and since when.
    """
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        _acquire(descriptor, layout.app, timeout)
        holder = {"by": actor, "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        held_by.add(descriptor)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        held_by.discard(descriptor)
        os.close(descriptor)


def _acquire(descriptor: int, app: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            holder = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
            raise SlipwayError(
                f"Another deploy of {app} is running: {holder.get('by', 'somebody')} began it at "
                f"{holder.get('since', 'an unknown time')} (process {holder.get('pid', 'unknown')}).",
                hint=f"Waited {timeout:g} s for it; nothing was changed. Try again when it has ended.",
                code=BUSY,
            ) from None
        else:
            return
