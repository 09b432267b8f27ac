"""Which environment a release gets: one for each lock and each Python, by the file behind its links."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from slipway import build, venv
from slipway.errors import SlipwayError
from slipway.spec import Health, Spec


def interpreter(path: Path) -> None:
    """Something that says, as an interpreter does, where it is."""
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\necho cpython-312 x86_64 $0\n")
    path.chmod(0o755)


def test_a_link_that_moves_on_to_another_python_leads_to_another_environment(tmp_path: Path) -> None:
    interpreter(tmp_path / "3.12.9/bin/python3.12")
    interpreter(tmp_path / "3.12.10/bin/python3.12")
    link = tmp_path / "3.12"
    link.symlink_to("3.12.9")
    named = str(link / "bin/python3.12")
    before = venv.python_tag(named)
    assert before == venv.python_tag(str(tmp_path / "3.12.9/bin/python3.12"))
    link.unlink()
    # The program asks once in its life, and this one lives on.
    venv.python_tag.cache_clear()
    link.symlink_to("3.12.10")
    assert venv.python_tag(named) != before


def test_the_same_python_by_another_name_shares_its_environment(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    assert venv.key(b"lock", str(tmp_path / "python")) == venv.key(b"lock", sys.executable)


def test_a_python_that_is_not_there_is_named_with_what_brings_it() -> None:
    spec = Spec("shop", "digest", Health("shop.example.com"), python="/opt/python/3.12/bin/python3.12")
    with pytest.raises(
        SlipwayError, match=r"python: /opt/python/3\.12/bin/python3\.12 is not an interpreter"
    ) as caught:
        build.release_id(spec)
    assert caught.value.hint is not None
    assert "site.yml" in caught.value.hint
    # A dry run goes on: the real run would have brought it.
    assert build.release_id(spec, planned=True)
