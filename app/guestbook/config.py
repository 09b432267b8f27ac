"""The settings that come with the code, one class an environment.

Other settings come later and win: guestbook.settings has the order.
"""

from typing import Any, ClassVar


class Config:
    """What holds everywhere. A value's type here is what later settings must have."""

    SECRET_KEY: str | None = None
    # The old keys while one is being replaced: sessions signed with them stay valid.
    SECRET_KEY_FALLBACKS: ClassVar[list[str]] = []
    SESSION_COOKIE_HTTPONLY = True
    SESSION_COOKIE_SAMESITE = "Lax"
    # How long a form may lie open before it is sent, in seconds.
    WTF_CSRF_TIME_LIMIT = 12 * 60 * 60

    # A relative SQLite path starts at the instance folder.
    SQLALCHEMY_DATABASE_URI = "sqlite:///guestbook.db"
    # Look whether a connection is still good before using it: a database may have been restarted since.
    SQLALCHEMY_ENGINE_OPTIONS: ClassVar[dict[str, Any]] = {"pool_pre_ping": True}

    # Keeps pages for a short while; empty for none.
    REDIS_URL = ""

    # Text forms only. An app that takes uploads raises this, and its proxy's limit with it.
    MAX_CONTENT_LENGTH = 1024 * 1024
    ENTRIES_PER_PAGE = 20

    # How many proxies in front overwrite X-Forwarded-For and -Proto.
    TRUSTED_PROXIES = 0
    # Ask search engines to stay away: for staging.
    NOINDEX = False

    LOG_LEVEL = "INFO"
    LOG_FORMAT = "json"
    # Hash the files of assets/ again when they change.
    ASSETS_AUTO_BUILD = False


class Development(Config):
    """Your own machine. Flask's --debug switches DEBUG on, not this class."""

    SECRET_KEY = "development-only"  # noqa: S105  # production refuses it as a known placeholder
    LOG_FORMAT = "text"
    ASSETS_AUTO_BUILD = True


class Testing(Config):
    """Nothing from the machine: a database in memory, a key that protects nothing."""

    TESTING = True
    SECRET_KEY = "testing-only"  # noqa: S105  # production refuses it as a known placeholder
    SQLALCHEMY_DATABASE_URI = "sqlite://"


class Production(Config):
    """Behind one proxy that speaks TLS. The secret key must come from outside."""

    # Browsers take a __Host- cookie only over HTTPS and only for this very host.
    SESSION_COOKIE_NAME = "__Host-session"
    SESSION_COOKIE_SECURE = True
    # The referrer check guards against cookies planted by other hosts, which __Host- already
    # rules out; and it fails for visitors whose browser sends no referrer.
    WTF_CSRF_SSL_STRICT = False
    PREFERRED_URL_SCHEME = "https"
    TRUSTED_PROXIES = 1


ENVIRONMENTS: dict[str, type[Config]] = {
    "development": Development,
    "testing": Testing,
    "production": Production,
}
# Whoever forgets to choose gets the one that refuses to start half-configured.
DEFAULT_ENVIRONMENT = "production"
