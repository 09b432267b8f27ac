"""For machines: is the process up, and can it do its work?"""

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from guestbook import cache, diagnosis
from guestbook.database import db
from guestbook.models import Entry

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer without the database: a database that is down must not get the app restarted."""
    return {"status": "ok", "release": current_app.config["RELEASE_ID"]}


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Say what cannot be used, and roughly why. The log has the details.

    Without its cache the app is slower and does all its work, so that is no reason to send nobody to it.
    """
    problem = _database_problem()
    checks = {"database": problem or "ok"}
    status = "unavailable" if problem else "ok"
    if cache.used():
        checks["cache"] = cache.problem() or "ok"
        if not problem and checks["cache"] != "ok":
            status = "degraded"
    answer = {"status": status, "release": current_app.config["RELEASE_ID"], "checks": checks}
    return answer, 503 if problem else 200


def _database_problem() -> str | None:
    # Anyone may read the answer, and a driver's message may name hosts and users.
    otherwise = "cannot connect"
    try:
        with db.engine.connect() as connection:
            otherwise = "it does not answer as it should"
            connection.execute(select(Entry.id).limit(1))
            return diagnosis.refuse_unwritable(connection)
    except SQLAlchemyError as error:
        problem = diagnosis.reason(error, otherwise=otherwise)
        current_app.logger.exception("The database is not ready: %s", problem)
        return problem
