"""systemd's environment files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slipway import envfile, process

# Cn holds the code points that are no characters; systemd refuses some of them.
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs", "Cn"]))


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), VALUES))
def test_every_value_comes_back(variables: dict[str, str]) -> None:
    assert envfile.load(envfile.dump(variables)) == variables


@pytest.mark.parametrize("name", ["1A", "A B", "A=B", "", "A\nB", "Ä"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        envfile.dump({name: "x"})


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b", "a\ufffeb", "a\ufdd0b", "a\U0010ffffb", "a" * 128 * 1024])
def test_what_systemd_cannot_carry_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(ValueError, match="the value of KEY") as caught:
        envfile.dump({"KEY": value})
    assert value not in str(caught.value)


def test_a_release_s_variables_are_read_as_they_were_written(tmp_path: Path) -> None:
    variables = {"A": "a\r\nb\rc", "B": "\x85\u2028ü"}
    (tmp_path / "env").write_bytes(envfile.dump(variables).encode())
    assert process.environment(tmp_path) == variables
