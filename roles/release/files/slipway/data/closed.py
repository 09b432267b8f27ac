"""An app closed to its visitors for a moment: the page that nginx shows instead is a file that is there or not."""

from __future__ import annotations

import shutil
from pathlib import Path

from slipway.data.config import Config

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Back in a moment</title>
<body style="font: 1.1rem system-ui; max-width: 30rem; margin: 20vh auto; padding: 0 1rem">
<h1>Back in a moment</h1><p>We are working on this site. It will be back shortly.</p>
"""


def close(config: Config, app: str) -> bool:
    """Close an app; False where somebody has done so already, and is going to open it too."""
    folder = Path(config.maintenance) / app
    if (folder / "page.html").exists():
        return False
    allowed = folder / "allow"
    allowed.mkdir(parents=True, exist_ok=True)
    for path in (folder.parent, folder, allowed):
        path.chmod(0o755)
    # A restore asks the app through nginx, from here.
    for address in ("127.0.0.1", "::1"):
        (allowed / address).touch()
    temporary = folder / ".page"
    temporary.write_text(_PAGE)
    temporary.chmod(0o644)
    temporary.rename(folder / "page.html")
    return True


def open_again(config: Config, app: str) -> None:
    shutil.rmtree(Path(config.maintenance) / app, ignore_errors=True)
