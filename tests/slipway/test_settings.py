"""Settings files: whatever goes in comes out, by Flask's own loaders' means."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slipway import settings

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NASTY = ["a\nb", "\r\n", "'\"`\\", "$HOME ${X} $(id)", "%h %% %", "{{ x }} {% y %} {# z #}", "0123", "-rf", " x ", "\\",
         "true", "null", "#", "=", "\x01\x1f\x7f\x85\u2028\ufeff\uffff", "\U0001f600",
         '"""', "'''", "\t", ""]  # fmt: skip
NAMES = st.from_regex(r"[A-Z][A-Z0-9_]*", fullmatch=True)


def values(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    trees = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8)
    return st.dictionaries(NAMES, trees)


def from_python(content: bytes) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(content, "settings.py", "exec"), namespace)  # noqa: S102  # as from_pyfile does
    return {key: value for key, value in namespace.items() if key.isupper()}


PARSERS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "json": ("settings.json", json.loads),
    "toml": ("settings.toml", lambda content: tomllib.loads(content.decode())),
    "python": ("settings.py", from_python),
}
SCALARS = TEXT | st.sampled_from(NASTY) | st.integers() | st.booleans() | st.floats(allow_nan=False)


@pytest.mark.parametrize("form", PARSERS)
@given(given=values(SCALARS))
def test_everything_comes_back(form: str, given: dict[str, Any]) -> None:
    filename, content = settings.render(form, given)
    expected, parse = PARSERS[form]
    assert filename == expected
    back = parse(content)
    assert back == given
    # True == 1 in Python: the kinds must agree as well.
    assert json.dumps(back, sort_keys=True) == json.dumps(given, sort_keys=True)


@pytest.mark.parametrize("form", PARSERS)
def test_what_is_no_number_stays_so(form: str) -> None:
    back = PARSERS[form][1](settings.render(form, {"X": math.nan, "Y": [-math.inf]})[1])
    assert math.isnan(back["X"])
    assert back["Y"] == [-math.inf]


@pytest.mark.parametrize("form", ["json", "python"])
@given(given=values(st.none() | TEXT))
def test_null_comes_back_where_there_is_one(form: str, given: dict[str, Any]) -> None:
    assert PARSERS[form][1](settings.render(form, given)[1]) == given


@pytest.mark.parametrize(
    ("form", "given", "named"),
    [
        ("toml", {"A": {"B": ["secret", None]}}, "settings.A.B[1]"),
        ("python", {"not-a-name": "secret"}, "settings.not-a-name"),
        ("python", {"class": "secret"}, "settings.class"),
        ("yaml", {"A": "secret"}, "settings_file.format"),
    ],
)
def test_what_a_form_cannot_carry_is_refused_by_its_key(form: str, given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=r":") as caught:
        settings.render(form, given)
    assert str(caught.value).startswith(f"{named}: ")
    assert "secret" not in str(caught.value)


def test_the_same_settings_are_the_same_bytes() -> None:
    for form in PARSERS:
        assert settings.render(form, {"A": "1", "B": "2"}) == settings.render(form, {"B": "2", "A": "1"})
