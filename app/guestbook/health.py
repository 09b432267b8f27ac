"""For machines: is the process up, and can it do its work?"""

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from guestbook.database import db
from guestbook.models import Entry

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer without the database: a database that is down must not get the app restarted."""
    return {"status": "ok", "release": current_app.config["RELEASE_ID"]}


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Say whether the database can be used, and if not, roughly why. The log has the details."""
    problem = _database_problem()
    answer = {
        "status": "unavailable" if problem else "ok",
        "release": current_app.config["RELEASE_ID"],
        "checks": {"database": problem or "ok"},
    }
    return answer, 503 if problem else 200


def _database_problem() -> str | None:
    # Anyone may read the answer, and a driver's message may name hosts and users.
    problem = "cannot connect"
    try:
        with db.engine.connect() as connection:
            problem = "cannot read its table: has 'flask db upgrade' run?"
            connection.execute(select(Entry.id).limit(1))
    except SQLAlchemyError:
        current_app.logger.exception("The database is not ready: %s", problem)
        return problem
    return None
