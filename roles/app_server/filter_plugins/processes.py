"""A filter that lists the units of workers and timers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

UNITS = "/etc/systemd/system"


def app_processes(apps: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each unit: its path, its template, and the app and process that the template is to know of."""
    kinds = {
        "workers": [("app.worker@.service", "@.service")],
        "timers": [("app.timer.service", ".service"), ("app.timer", ".timer")],
    }
    return [
        {
            "path": f"{UNITS}/{name}.{process}{suffix}",
            "template": f"{UNITS}/{template}".lstrip("/"),
            "variables": {"__app_server_app": name, "__app_server_process": process},
        }
        for name, app in apps.items()
        for kind, files in kinds.items()
        for process in app.get(kind) or {}
        for template, suffix in files
    ]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"app_processes": app_processes}
