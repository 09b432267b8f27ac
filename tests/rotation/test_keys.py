"""Rotating keys in a vault's text: nothing else moves."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import load

MODULE = load("roles/rotation/module_utils/key_rotation.py")
TODAY = date(2026, 11, 23)
KEY, LIST = "vault_shop_secret_key", "vault_shop_secret_key_fallbacks"
VAULT = """# Secrets of production.  Oddly   spaced, and to stay so.
vault_mail_password:   !unsafe 'it''s {{ mine }}'   # from the provider

# What shop signs with.
vault_shop_secret_key: !unsafe "first"  # a remark
vault_last: !unsafe "x"
"""


def rotate(text: str, **changes: Any) -> tuple[str, dict[str, list[str]]]:
    made = itertools.count(1)
    options = {"keep_days": 31, "leaked": False, "make": lambda: f"new{next(made)}", "today": TODAY, **changes}
    rotated, kept = MODULE.rotate(text, [KEY], options.pop("today"), **options)
    return str(rotated), dict(kept)


def values(text: str) -> dict[str, Any]:
    return dict(yaml.load(text.replace("!unsafe", "!!str"), yaml.SafeLoader))


def test_the_first_rotation_adds_a_list_and_leaves_all_else() -> None:
    rotated, kept = rotate(VAULT)
    before, after = VAULT.splitlines(), rotated.splitlines()
    assert kept == {KEY: ["2026-12-24"]}
    assert after[4] == 'vault_shop_secret_key: !unsafe "new1"  # a remark'
    assert after[6:8] == [f"{LIST}:", '  - !unsafe "first"  # until 2026-12-24']
    assert [*after[:4], before[4], *after[8:]] == before


def test_the_next_ones_keep_what_was_promised_and_drop_what_is_over() -> None:
    once, _ = rotate(VAULT, make=lambda: "second")
    soon, kept = rotate(once, make=lambda: "third", today=date(2026, 12, 1))
    assert values(soon)[LIST] == ["second", "first"]
    assert kept == {KEY: ["2027-01-01", "2026-12-24"]}
    later, kept = rotate(soon, make=lambda: "fourth", today=date(2026, 12, 24))
    assert values(later)[LIST] == ["third", "second"]
    assert kept == {KEY: ["2027-01-24", "2027-01-01"]}
    assert '"first"' not in later
    assert later.startswith(VAULT[: VAULT.index("first")].replace("first", "fourth"))


def test_kept_for_no_day_means_until_the_next_one() -> None:
    once, _ = rotate(VAULT, keep_days=0)
    assert values(once)[LIST] == ["first"]
    again, _ = rotate(once, keep_days=0, make=lambda: "third")
    assert values(again)[LIST] == ["new1"]


@pytest.mark.parametrize("rotations", [0, 1, 2])
def test_of_a_leaked_key_none_is_kept(rotations: int) -> None:
    text = VAULT
    for number in range(rotations):
        text, _ = rotate(text, make=lambda number=number: f"key{number}")
    rotated, kept = rotate(text, leaked=True)
    assert kept == {KEY: []}
    assert values(rotated).get(LIST, []) == []
    assert values(rotated) | {KEY: "", LIST: ""} == values(text) | {KEY: "", LIST: ""}


@pytest.mark.parametrize(
    "written",
    [
        f"{KEY}: !unsafe |\n  first\nvault_b: x\n",
        f"{KEY}: !unsafe >-\n  first\n  line\n# end\n",
        f"{KEY}: first",
        f"{KEY}: first\n{LIST}: []  # none yet\nvault_b: x\n",
        f'{KEY}: first\n{LIST}: [!unsafe "a", b]\nvault_b: x\n',
        f"{KEY}: first\n{LIST}:\n- a  # until 2026-12-01\n# between\n- b\nvault_b: x\n",
        f"{KEY}: first\n{LIST}:\n    - a  # until 2026-12-01",
        f"{LIST}:\n\n  # why\n  - a  # until 2026-12-01\n\n# then\n{KEY}: 'first'\n",
        f"---\n{KEY}: first\r\nvault_b: x\r\n",
    ],
)
def test_however_it_is_written(written: str) -> None:
    before = values(written)
    rotated, _ = rotate(written)
    after = values(rotated)
    assert after[KEY] == "new1"
    assert after[LIST] == [before[KEY], *(["a"] if "until" in written else [])]
    assert {**before, KEY: "", LIST: ""} == {**after, KEY: "", LIST: ""}
    comments = [
        line.split("#")[1] for line in written.splitlines() if "#" in line and " b" not in line and "none" not in line
    ]
    assert [comment for comment in comments if comment not in rotated] == []


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_secret_survives_as_a_fallback(secret: str) -> None:
    text = f"{KEY}: {MODULE.quoted(secret)}\n"
    assert values(text)[KEY] == secret
    rotated, _ = rotate(text)
    assert values(rotated) == {KEY: "new1", LIST: [secret]}


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "vault_b: s3cret\n", f"{KEY}: [s3cret]\n", "- s3cret\n", f"{{{KEY}: s3cret}}"]
)
def test_what_cannot_be_rotated_is_refused(text: str) -> None:
    with pytest.raises(MODULE.RotationError) as caught:
        rotate(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("number", ["0123", "1_000", "0x1f", "1.5", "yes", "2026-11-23", "12:30"])
def test_what_ansible_would_take_for_a_number_is_quoted_alone(number: str) -> None:
    assert MODULE.quoted(number) == f'"{number}"'


def test_fallbacks_are_marked_unsafe() -> None:
    rotated, _ = MODULE.rotate(VAULT, [KEY], TODAY, keep_days=1, leaked=False, make=lambda: "{{ x }}")
    assert rotated.count("!unsafe") == VAULT.count("!unsafe") + 1
