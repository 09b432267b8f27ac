"""The one exception that reaches a user, and the exit codes that scripts can rely on."""

from __future__ import annotations

FAILED = 1
BAD_REQUEST = 2
BUSY = 3
UNHEALTHY = 4


class SlipwayError(Exception):
    """A failure with all that its reader needs.

    Args:
        message: what was attempted and what happened, in one sentence or a few lines.
        hint: what to do next; empty when the message already says so.
        log: the last lines of the program that failed, oldest first.
        code: the exit code, one of this module's constants.
    """

    def __init__(self, message: str, *, hint: str = "", log: list[str] | None = None, code: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log = log or []
        self.code = code

    def __str__(self) -> str:
        parts = [self.message]
        if self.log:
            parts.append("Its last output:\n" + "\n".join(f"    {line}" for line in self.log))
        if self.hint:
            parts.append(self.hint)
        return "\n".join(parts)
