"""Taking an app away."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

from slipway import lock, units, workers
from slipway.data import swap
from slipway.layout import Layout


def remove(app: str, *, data: bool, actor: str) -> dict[str, Any]:
    """Stop everything of an app and remove its code; its data only when told so.

    Args:
        app: the app.
        data: whether `shared/`, the dumps and what restores have replaced go as well. Kept, they belong to root from
            then on. Its backups stay in the repository, and a database on another host is that one's to drop.
        actor: who asks.

    Returns:
        `changed`: whether there was anything to take away.
    """
    layout = Layout(app)
    if not layout.releases.is_dir() and not (data and layout.base.is_dir()):
        return {"app": app, "changed": False}
    with lock.held(layout, actor=actor, timeout=60):
        if data:
            swap.forget(layout, apart=False)
        workers.stop(app)
        workers.forget_timers(app)
        subprocess.run(["systemctl", "disable", "--now", f"{app}.service"], capture_output=True)
        for release in units.instances(app):
            units.drain(layout, release)
            units.stop(app, release)
        kept = set() if data else {layout.shared, layout.dumps, layout.replaced}
        for path in layout.base.iterdir():
            if path.is_dir() and not path.is_symlink():
                if path not in kept:
                    shutil.rmtree(path)
            elif path != layout.lock:
                path.unlink()
    layout.lock.unlink(missing_ok=True)
    if data:
        layout.base.rmdir()
    else:
        _give_to_root(layout)
    return {"app": app, "changed": True}


def _give_to_root(layout: Layout) -> None:
    """The app's user goes, and the next one to get its number must not inherit the files."""
    layout.base.chmod(0o700)
    for path in (layout.shared, *layout.shared.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
