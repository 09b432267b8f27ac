"""What is found in a release's settings of its database on another host."""

from __future__ import annotations

import pytest
from slipway import settings
from slipway.data import credentials
from slipway.spec import Database

APART = Database("postgresql", "shop", "shop_0123abcd", "db1.internal")
ADDRESS = (
    "postgresql+psycopg://shop_0123abcd:p%40ss%2F%3A%22%27%5Cx@db1.internal:5432/shop"
    "?sslmode=verify-full&sslrootcert=/etc/slipway/postgresql/authorities.pem"
)
FOUND = {
    "PGPASSWORD": "p@ss/:\"'\\x",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/etc/slipway/postgresql/authorities.pem",
}


@pytest.mark.parametrize("form", ["json", "toml", "python"])
def test_the_password_is_found_in_each_form_of_settings(form: str) -> None:
    values = {"OTHER": "postgresql://a:b@c/d", "SQLALCHEMY_DATABASE_URI": ADDRESS, "Z": 'x"'}
    assert credentials.environment(APART, settings.render(form, values)[1]) == FOUND


def test_on_its_own_host_an_app_needs_none() -> None:
    content = settings.render("json", {"SQLALCHEMY_DATABASE_URI": ADDRESS})[1]
    assert credentials.environment(Database("postgresql", "shop", "shop"), content) == {}
    assert credentials.environment(Database(), content) == {}


def test_an_address_that_the_app_has_from_elsewhere_gives_none() -> None:
    assert credentials.environment(APART, b"{}\n") == {}
