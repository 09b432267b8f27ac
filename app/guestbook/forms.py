"""The form, and the guard against forged ones."""

import unicodedata

from flask import Flask
from flask_wtf import CSRFProtect, FlaskForm
from wtforms import Field, Form, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, ValidationError

csrf = CSRFProtect()


def init_app(app: Flask) -> None:
    """Guard every form; one that was opened before SECRET_KEY was replaced can still be sent."""
    if key := app.config["SECRET_KEY"]:
        # Flask-WTF knows no SECRET_KEY_FALLBACKS, but its signer takes a list: oldest first, the last one signs.
        keys = [*reversed(app.config["SECRET_KEY_FALLBACKS"] or []), key]
        app.config.setdefault("WTF_CSRF_SECRET_KEY", keys)
    csrf.init_app(app)


def _strip(text: str | None) -> str | None:
    return text.strip() if text else text


def _printable(_form: Form, field: Field) -> None:
    """Databases differ in what they do with NUL; nobody types the others on purpose."""
    if any(unicodedata.category(letter) == "Cc" for letter in field.data if letter not in "\r\n\t"):
        raise ValidationError("Control characters are not allowed.")


class EntryForm(FlaskForm):
    """One entry of the guestbook."""

    name = StringField(
        "Name",
        filters=[_strip],
        validators=[DataRequired("Please tell us your name."), Length(max=80), _printable],
        render_kw={"autocomplete": "name"},
    )
    message = TextAreaField(
        "Message",
        filters=[_strip],
        validators=[DataRequired("Please write something."), Length(max=1000), _printable],
        render_kw={"rows": 4},
    )
