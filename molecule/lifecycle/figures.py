"""What the visitors' requests amount to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from .load import Record

FAST = {"page", "asset"}


def wrong(records: Iterable[Record]) -> list[str]:
    """Every request that failed or was answered wrongly, with its time and its reason."""
    return [
        f"{datetime.fromtimestamp(record.began, UTC):%H:%M:%S.%f} +{record.ended - record.began:.3f} s "
        f"{record.kind} {record.error}"
        for record in records
        if record.error
    ]


def in_flight(records: Iterable[Record], moments: Sequence[float], kind: str) -> list[Record]:
    """The requests of a kind that were under way at one of the moments."""
    return [
        record for record in records if record.kind == kind and any(record.began < m < record.ended for m in moments)
    ]


def counts(records: Iterable[Record]) -> dict[str, int]:
    return dict(Counter(record.kind for record in records))


def milliseconds(records: Iterable[Record]) -> dict[str, float]:
    """Latency of pages and their assets."""
    took = sorted((record.ended - record.began) * 1000 for record in records if record.kind in FAST)
    if not took:
        return {}
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(took[min(len(took) - 1, int(part * len(took)))], 1) for name, part in at.items()}
