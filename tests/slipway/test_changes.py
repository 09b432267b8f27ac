"""What a dry run with --diff says: names, never values."""

from __future__ import annotations

from slipway import transaction
from slipway.spec import Settings

from .conftest import Host

LOCK = "flask==3.1.2 \\\n    --hash=sha256:00\nold-one==1.0\n"


def test_everything_is_new_before_the_first_deploy(host: Host) -> None:
    plan = transaction.plan(host.spec(files={"app.py": "1"}, lock="flask==3.1.3\n", env={"A": "1"}))
    assert plan["changes"] == [
        "+ file app.py",
        "+ dependency flask  -> 3.1.3",
        "+ setting SECRET_KEY",
        "+ variable A",
    ]


def test_each_kind_of_change_is_named_and_no_value_is_shown(host: Host) -> None:
    before = host.spec(files={"app.py": "1", "gone.py": "1"}, env={"A": "1", "B": "1"})
    transaction.deploy(before, host.archive({"app.py": "", "requirements.txt": LOCK}))
    after = host.spec(
        "2",
        files={"app.py": "2", "new.py": "1"},
        lock="flask==3.1.3\n",
        env={"A": "s3cret", "C": "1"},
        settings=Settings(content=b'{"SECRET_KEY": "an0ther-s3cret", "NEW": 1}'),
    )
    changes = transaction.plan(after)["changes"]
    assert changes == [
        "~ file app.py",
        "- file gone.py",
        "+ file new.py",
        "~ dependency flask 3.1.2 -> 3.1.3",
        "- dependency old-one 1.0 -> ",
        "+ setting NEW",
        "~ setting SECRET_KEY",
        "~ variable A",
        "- variable B",
        "+ variable C",
    ]
    assert "s3cret" not in str(changes)


def test_a_settings_file_in_python_or_toml_is_compared_as_well(host: Host) -> None:
    files = {"a": "1"}
    for name, one, two in (
        ("settings.py", b"A = 1\nB = 2\n", b"A = 1\nB = 3\n"),
        ("settings.toml", b"A = 1\n", b"B = 1\n"),
    ):
        old = host.spec(name, files=files, settings=Settings(name, "X", one))
        transaction.deploy(old, host.archive())
        changes = transaction.plan(host.spec(name, files=files, settings=Settings(name, "X", two)))["changes"]
        assert [line for line in changes if "setting" in line] == (
            ["~ setting B"] if name == "settings.py" else ["- setting A", "+ setting B"]
        )


def test_nothing_is_listed_for_what_serves(host: Host) -> None:
    spec = host.spec(files={"app.py": "1"})
    transaction.deploy(spec, host.archive())
    assert transaction.plan(spec)["changes"] == []
