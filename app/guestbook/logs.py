"""Logs to stdout, one line an event, each with the id of the request that it belongs to."""

import json
import logging
import re
import sys
import time
import uuid
from datetime import UTC, datetime

from flask import Flask, Response, current_app, g, has_request_context, request

# Long enough for any tracing id, too narrow to forge a line or to fill a disk.
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Asked every few seconds by machines: worth a line only to whoever looks for it.
_QUIET = frozenset({"health.healthz", "health.readyz", "static"})

_logger = logging.getLogger("guestbook.request")


def request_id() -> str:
    """Return the id of the current request: the proxy's where it looks sane, else a new one."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, whatever the message holds."""

    def format(self, record: logging.LogRecord) -> str:
        """Return ``record`` as JSON."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context():
            entry["request_id"] = request_id()
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class _StdoutHandler(logging.Handler):
    """Looks stdout up for each line; a class of its own, so that a second app can replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # One write a line: the workers of a server share the pipe.
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:  # a log line must never break a request
            self.handleError(record)


def init_app(app: Flask) -> None:
    """Send every logger's lines to stdout, and log each request."""
    handler = _StdoutHandler()
    if app.config["LOG_FORMAT"] == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers = [old for old in root.handlers if not isinstance(old, _StdoutHandler)]
    root.addHandler(handler)
    root.setLevel(app.config["LOG_LEVEL"])

    app.before_request(_start)
    app.after_request(_finish)


def _start() -> None:
    g.started = time.perf_counter()


def _finish(response: Response) -> Response:
    response.headers["X-Request-ID"] = request_id()
    level = logging.DEBUG if request.endpoint in _QUIET else logging.INFO
    if current_app.debug:
        level = logging.DEBUG  # the development server prints a line of its own
    fields = {
        "method": request.method,
        # Without the query, which may hold what nobody wants in a log.
        "path": request.path,
        "status": response.status_code,
        "duration_ms": round((time.perf_counter() - g.started) * 1000, 1),
        "remote_addr": request.remote_addr or None,
    }
    _logger.log(
        level, "%s %s %s", request.method, request.path, response.status_code,
        extra={"fields": fields},
    )  # fmt: skip
    return response
