"""What visitors see."""

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import select

from guestbook import cache
from guestbook.database import db
from guestbook.forms import EntryForm
from guestbook.models import Entry

LONGEST_PAGE_NUMBER = 9

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """Show the form and the newest entries."""
    return _page(EntryForm())


@blueprint.post("/")
def sign() -> ResponseReturnValue:
    """Keep an entry, or show the form again with what was wrong."""
    form = EntryForm()
    if not form.validate_on_submit():
        return _page(form), 422
    db.session.add(Entry(name=form.name.data, message=form.message.data))
    db.session.commit()
    cache.forget()
    flash("Thank you for signing.")
    # 303: the browser asks for the page anew, so that a reload does not send the form twice.
    return redirect(url_for(".index"), 303)


def _page(form: EntryForm) -> str:
    # The database could not even count to such a page.
    number = request.args.get("page", "")
    if len(number) > LONGEST_PAGE_NUMBER:
        abort(404)
    # The same for every visitor, unlike the form.
    entries = Markup(cache.remembered(f"entries:{number}", _entries))  # noqa: S704  # our own template made it
    return render_template("index.html", form=form, entries=entries)


def _entries() -> str:
    newest_first = select(Entry).order_by(Entry.id.desc())
    entries = db.paginate(newest_first, per_page=current_app.config["ENTRIES_PER_PAGE"])
    return render_template("entries.html", entries=entries)
