"""Stands for a database's migrations: leaves a line in the app's shared directory, or fails where it is told to."""

import json
import os
from pathlib import Path

settings = json.loads(Path(os.environ["APP_SETTINGS"]).read_text())
if settings.get("MIGRATION") == "fails":
    raise SystemExit("migration 0042: no such column: visits")
with Path("instance", "migrations.log").open("a") as log:
    log.write(os.environ["RELEASE_ID"] + "\n")
print("migrated")
