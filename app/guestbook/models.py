"""The tables."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.database import Base


def _now() -> datetime:
    return datetime.now(UTC)


class Entry(Base):
    """What one visitor wrote."""

    __tablename__ = "entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    message: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)

    @property
    def written(self) -> datetime:
        """When, in UTC: SQLite forgets the zone on the way."""
        return self.created_at.replace(tzinfo=self.created_at.tzinfo or UTC)
