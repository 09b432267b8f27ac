"""What every answer tells the browser."""

from flask import Flask, Response, current_app

# Everything from this app itself, no inline code, no plug-ins, no frames, no other form target.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    """Add the headers to every answer."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    # A page holds its visitor's form token: nobody else may be shown it.
    response.headers.setdefault("Cache-Control", "private, no-cache")
    if current_app.config["NOINDEX"]:
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response
