"""A guestbook: the small Flask app that everything else here is built around."""

from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from guestbook import assets, cache, cli, errors, forms, headers, health, logs, pages
from guestbook.database import db, migrate
from guestbook.settings import load_settings


def create_app(name: str | None = None, overrides: Mapping[str, Any] | None = None) -> Flask:
    """Make the app for the environment ``name`` (see guestbook.settings for the order).

    Raises SettingsError, which names the key, when it would not be safe to start.
    """
    app = Flask(__name__, instance_relative_config=True)
    load_settings(app, name, overrides)
    logs.init_app(app)

    if hops := app.config["TRUSTED_PROXIES"]:
        # Only what the proxy in front overwrites on every request. It passes Host itself, and
        # nothing sets X-Forwarded-Host or -Prefix, so a visitor's own must not count.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=0, x_port=0, x_prefix=0
        )

    db.init_app(app)
    migrate.init_app(app, db)
    cache.init_app(app)
    forms.init_app(app)
    assets.init_app(app)
    headers.init_app(app)
    errors.init_app(app)
    cli.init_app(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(pages.blueprint)
    return app
