"""What tells two databases apart without showing what is in them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

VERSION_TABLE = "alembic_version"


@dataclass(frozen=True)
class Fingerprint:
    """One database at one moment.

    Args:
        tables: the number of rows of each table.
        heads: the migrations that it is at, sorted; none where nobody counts them.
        content: a hash over all rows of each table, or over a whole file under its name.
    """

    tables: dict[str, int] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    content: dict[str, str] = field(default_factory=dict)

    def public(self) -> dict[str, Any]:
        return {**asdict(self), "heads": list(self.heads)}

    @property
    def rows(self) -> int:
        """All rows but the note of the migration."""
        return sum(rows for table, rows in self.tables.items() if not table.endswith(VERSION_TABLE))


def parse(data: dict[str, Any]) -> Fingerprint:
    """Read back what `Fingerprint.public` gave."""
    return Fingerprint(dict(data["tables"]), tuple(data["heads"]), dict(data["content"]))


def differences(backed_up: Fingerprint, restored: Fingerprint) -> list[str]:
    """What is not as it was when the backup was taken; nothing where it is all there, row for row."""
    lines = []
    for table in sorted(backed_up.tables.keys() | restored.tables.keys()):
        then, now = backed_up.tables.get(table), restored.tables.get(table)
        if now is None:
            lines.append(f"the table {table} is missing")
        elif then is None:
            lines.append(f"there is a table {table} that was not in it")
        elif then != now:
            lines.append(f"{table} has {now} rows where it had {then}")
    if backed_up.heads != restored.heads:
        lines.append(f"it is at migration {names(restored.heads)} where it was at {names(backed_up.heads)}")
    if not lines:
        lines = [
            f"the content of {part} is not what it was"
            for part, digest in sorted(backed_up.content.items())
            if restored.content.get(part) != digest
        ]
    return lines


def drift(backed_up: Fingerprint, live: Fingerprint, percent: int) -> list[str]:
    """What in a backup looks wrong beside the database as it is now.

    Rows come and go between a backup and the drill, so a table may differ by `percent` of the larger count, or by a
    thousand rows. A backup without any rows, of a database that has some, is never right.
    """
    if live.rows and not backed_up.rows:
        return [f"it is empty, while the database holds {live.rows} rows"]
    if backed_up.heads != live.heads:
        # Migrated since: tables may well have come and gone.
        return []
    lines = [f"it lacks the table {table}" for table in sorted(live.tables.keys() - backed_up.tables.keys())]
    for table, rows in sorted(backed_up.tables.items()):
        now = live.tables.get(table, 0)
        if abs(now - rows) > max(1000, max(now, rows) * percent // 100):
            lines.append(f"{table} has {rows} rows in it and {now} now, which is more than may change meanwhile")
    return lines


def names(heads: tuple[str, ...]) -> str:
    return ", ".join(heads) or "none"
