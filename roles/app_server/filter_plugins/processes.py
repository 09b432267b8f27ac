"""A filter that lists the units of workers and timers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def app_processes(apps: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    """One entry for each unit: its `app`, its `process`, the `template` and the `suffix` of its name."""
    kinds = {
        "workers": [("app.worker@.service", "@.service")],
        "timers": [("app.timer.service", ".service"), ("app.timer", ".timer")],
    }
    return [
        {"app": name, "process": process, "template": template, "suffix": suffix}
        for name, app in apps.items()
        for kind, files in kinds.items()
        for process in app.get(kind) or {}
        for template, suffix in files
    ]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"app_processes": app_processes}
