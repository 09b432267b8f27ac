"""What apps say, in nginx's words; and the pages that visitors meet."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.conftest import load


@pytest.fixture(scope="module")
def filters() -> ModuleType:
    return load("roles/nginx/filter_plugins/nginx.py")


def test_an_app_s_headers_win_whatever_their_case(filters: ModuleType) -> None:
    found = filters.nginx_app_headers({"X-A": "1", "X-B": "2"}, {"x-a": "3", "X-B": "", "X-C": 'say "c"'}, "my-shop")
    assert [(header["name"], header["value"]) for header in found] == [
        ("Content-Security-Policy", '""'),
        ("X-A", '"3"'),
        ("X-C", '"say \\"c\\""'),
    ]
    assert found[1]["variable"] == "app_my_shop__x_a"


@pytest.mark.parametrize(
    ("hsts", "value"),
    [
        ({}, '"max-age=63072000"'),
        ({"max_age": 0}, '"max-age=0"'),
        ({"max_age": 31536000, "subdomains": True, "preload": True}, '"max-age=31536000; includeSubDomains; preload"'),
    ],
)
def test_hsts(filters: ModuleType, hsts: dict[str, int | bool], value: str) -> None:
    assert filters.nginx_hsts(hsts) == value


@pytest.mark.parametrize(("rate", "burst"), [("100/s", 500), ("10/m", 5), ("1/s", 5), ("600/m", 50)])
def test_a_burst_is_five_seconds_worth(filters: ModuleType, rate: str, burst: int) -> None:
    assert filters.nginx_burst(rate) == burst


def test_a_page_says_what_it_is_given_and_runs_none_of_it() -> None:
    page = load("roles/visitor_page/filter_plugins/visitor_page.py").visitor_page(
        "<b>1</b>\n2\n\n$three", "A & B", "404"
    )
    assert "<p>&lt;b&gt;1&lt;/b&gt; 2</p>" in page
    assert "<p>$three</p>" in page
    assert "<h1>A &amp; B</h1>" in page
    assert "404" in page
