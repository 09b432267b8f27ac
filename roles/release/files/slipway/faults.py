"""Places where a test can have this program killed, or the machine under it."""

from __future__ import annotations

import os
import signal
import sys

VARIABLE = "SLIPWAY_FAULT"


def point(name: str) -> None:
    """Freeze at the place that the variable names, until whoever set it has done the killing; else do nothing."""
    if os.environ.get(VARIABLE) == name:
        print(f"slipway: frozen at {name}", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
