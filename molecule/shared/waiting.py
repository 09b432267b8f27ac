"""Waiting for a condition, as every check does that would otherwise sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], what: str, patience: float = 120) -> Any:
    """Wait for a condition to hold; return what it found.

    Args:
        condition: called again and again until it returns something true.
        what: the condition in words, for the failure.
        patience: seconds. It is generous: only a check that fails waits for all of it.

    Raises:
        AssertionError: the condition did not hold in time.
    """
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        time.sleep(0.1)
    return found
