"""Errors that look like the rest of the site, or JSON for whoever asks for JSON."""

from flask import Flask, jsonify, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from guestbook.logs import request_id

_ADVICE = {
    400: "Something about that request was not right. Please go back, reload the page and try again.",
    403: "You may not see this page.",
    404: "There is nothing at this address. It may have moved, or never been here.",
    405: "This address does not take that kind of request.",
    413: "That is more than this site takes at once. Please send less.",
    429: "That was a lot of requests in a short time. Please wait a little.",
    500: "Something broke on our side. It has been logged; please try again later.",
}


def init_app(app: Flask) -> None:
    """Handle every HTTP error, and through 500 every other one."""
    app.register_error_handler(HTTPException, _show)


def _show(error: HTTPException) -> Response:
    response = error.get_response()
    if error.response is not None or error.code is None:
        return response  # abort() was given the answer itself
    advice = _ADVICE.get(error.code, error.description or "")
    if _wants_json():
        details = {
            "status": error.code,
            "name": error.name,
            "message": advice,
            "request_id": request_id(),
        }
        body, content_type = jsonify(error=details).get_data(), "application/json"
    else:
        page = render_template("error.html", error=error, advice=advice, request_id=request_id())
        body, content_type = page.encode(), "text/html; charset=utf-8"
    # The error's own answer, because it may carry Allow or Retry-After.
    response.data = body
    response.content_type = content_type
    response.vary.add("Accept")
    return response


def _wants_json() -> bool:
    kinds = ("text/html", "application/json")
    return request.accept_mimetypes.best_match(kinds) == "application/json"
