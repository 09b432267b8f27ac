"""Visitors come first: what builds a release must not take the processor from what serves."""

from __future__ import annotations

import contextlib
import os
import subprocess

# Beside the 100 that each app and the web server have.
_WEIGHT = 10
_MANAGER = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]


def step_back() -> None:
    """Let this process, and what it starts from now on, have what of the processor the apps leave.

    A nice value counts among the processes of one control group only, and logins have one that gets as much as all
    services together. So this process moves to one of its own. Where systemd cannot be asked for that, or the kernel
    weighs none, the nice value is what there is.
    """
    os.nice(10)
    scope = ["ssa(sv)a(sa(sv))", f"slipway-deploy-{os.getpid()}.scope", "fail"]
    properties = ["2", "PIDs", "au", "1", str(os.getpid()), "CPUWeight", "t", str(_WEIGHT)]
    with contextlib.suppress(OSError):
        subprocess.run(
            ["busctl", "--quiet", "call", *_MANAGER, "StartTransientUnit", *scope, *properties, "0"],
            capture_output=True,
            check=False,
        )
