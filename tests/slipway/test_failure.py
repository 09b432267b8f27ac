"""The cause of a failed unit in the message; systemctl and journalctl are fakes that match as the real ones do."""

from __future__ import annotations

import itertools
import os
import pwd
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from slipway import failure, layout, probe, process, serving, units, workers
from slipway.errors import UNHEALTHY, SlipwayError
from slipway.layout import Layout
from slipway.spec import Health, Spec

UNIT = "shop@3f2a9c1b04d7.service"
WORKER = "shop.mail@3f2a9c1b04d7.service"
# Any user but root, which is another case.
USER, UID = next((user.pw_name, str(user.pw_uid)) for user in pwd.getpwall() if user.pw_uid)
SPEC = Spec("shop", "digest", Health("shop.example.com"), workers={"mail": "celery worker"})

Entry = dict[str, str]


def of_systemd(message: str, unit: str = UNIT) -> Entry:
    """A line that PID 1 writes about a unit."""
    return {"_PID": "1", "_UID": "0", "_SYSTEMD_UNIT": "init.scope", "UNIT": unit, "MESSAGE": f"{unit}: {message}"}


def of_child(message: str, *, uid: str = "0", unit: str = UNIT) -> Entry:
    """A line of the child that failed before it executed the program, and had ended when journald looked it up."""
    return {"_PID": "4711", "_UID": uid, "UNIT": unit, "MESSAGE": f"{unit}: {message}"}


def of_app(message: str) -> Entry:
    """A line of the app's standard error."""
    return {"_PID": "4712", "_UID": UID, "_SYSTEMD_UNIT": UNIT, "MESSAGE": message}


def exited(status: str, unit: str = UNIT) -> list[Entry]:
    return [
        of_systemd(f"Main process exited, code=exited, status={status}", unit),
        of_systemd("Failed with result 'exit-code'.", unit),
    ]


NAMESPACE = of_child("Failed at step NAMESPACE spawning /srv/shop/gunicorn: No such file or directory")


@dataclass
class Fake:
    """A host with one unit that systemd could not start.

    Attributes:
        program: what ExecStart names.
        properties: what `systemctl show` prints beside it.
        entries: what the journal holds.
        late: what it holds from the third `journalctl --sync` on.
        known: whether the app's unit files are installed.
        syncs: how often journald was asked to write what it had received.
        now: the clock, which only sleeping moves.
    """

    program: Path
    properties: dict[str, str]
    entries: list[Entry] = field(default_factory=list)
    late: list[Entry] = field(default_factory=list)
    known: bool = True
    syncs: int = 0
    now: float = 1000.0

    def run(self, words: list[str], **_given: object) -> subprocess.CompletedProcess[str]:
        program, *arguments = words
        code, output = self._journalctl(arguments) if program == "journalctl" else self._systemctl(arguments)
        return subprocess.CompletedProcess(words, code, output, "Unit not found." if code else "")

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _systemctl(self, arguments: list[str]) -> tuple[int, str]:
        verb = arguments[0]
        if verb == "list-unit-files":
            return 0, "shop@.service static" if self.known else ""
        if verb == "list-units":
            return 0, "[]"
        if verb != "show":
            return int(verb == "start" and self.properties["ActiveState"] != "active"), ""
        argv = f"{self.program} --config /srv/shop/shop.conf.py"
        command = f"{{ path={self.program} ; argv[]={argv} ; ignore_errors=no ; pid=0 ; code=(null) ; status=0/0 }}"
        shown = {**self.properties, **({"ExecStart": command} if self.known else {})}
        return 0, "".join(f"{name}={value}\n" for name, value in shown.items())

    def _journalctl(self, arguments: list[str]) -> tuple[int, str]:
        if arguments == ["--sync"]:
            self.syncs += 1
            return 0, ""
        matches = [argument for argument in arguments if not argument.startswith("--") and not argument.startswith("@")]
        assert "--unit" not in arguments, "journalctl --unit leaves out what systemd's child has written"
        held = self.entries + (self.late if self.syncs > 2 else [])
        return 0, "".join(f"{entry['MESSAGE']}\n" for entry in held if _matches(entry, matches))


def _matches(entry: Entry, matches: list[str]) -> bool:
    """Match as journalctl(1) does: `+` is or, other fields are and, the same field twice is or."""
    groups: list[dict[str, set[str]]] = [{}]
    for match in matches:
        if match == "+":
            groups.append({})
        else:
            name, _, value = match.partition("=")
            groups[-1].setdefault(name, set()).add(value)
    return any(all(entry.get(name) in values for name, values in group.items()) for group in groups)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    program = tmp_path / "venv" / "bin" / "gunicorn"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    shown = {"LoadState": "loaded", "ActiveState": "failed", "User": USER, "WorkingDirectory": str(tmp_path)}
    played = Fake(program, {**shown, "NRestarts": "1"})
    monkeypatch.setattr(subprocess, "run", played.run)
    monkeypatch.setattr(time, "sleep", played.sleep)
    monkeypatch.setattr(time, "monotonic", lambda: played.now)
    return played


def start() -> SlipwayError:
    """The error of an instance that does not start."""
    with pytest.raises(SlipwayError) as caught:
        units.start("shop", "3f2a9c1b04d7")
    assert caught.value.code == UNHEALTHY
    return caught.value


def test_a_missing_program_is_named_though_the_journal_lacks_its_line(fake: Fake) -> None:
    fake.program.unlink()
    fake.entries = exited("203/EXEC")
    error = start()
    assert error.message == f"{UNIT} did not start. Cause: the program {fake.program} does not exist."
    assert error.hint == "Is gunicorn in the app's requirements?"
    assert error.log == [entry["MESSAGE"] for entry in fake.entries]
    assert fake.now == 1000.0, "it waited for a line that says what is known"


def test_a_missing_program_is_named_though_the_journal_is_empty(fake: Fake) -> None:
    fake.program.unlink()
    assert f"the program {fake.program} does not exist" in start().message


def test_a_program_that_is_no_package_s_has_no_hint_of_requirements(fake: Fake, tmp_path: Path) -> None:
    fake.program = tmp_path / "processes" / "mail"
    error = start()
    assert f"the program {fake.program} does not exist" in error.message
    assert error.hint == ""


def _drop_the_venv(fake: Fake) -> str:
    fake.program.unlink()
    fake.program.parent.rmdir()
    return f"the program {fake.program} does not exist"


def _take_its_mode(fake: Fake) -> str:
    fake.program.chmod(0o644)
    return f"the program {fake.program} is not executable"


def _remove_its_python(fake: Fake) -> str:
    (fake.program.parent / "python").symlink_to("/nowhere/python3.11")
    fake.program.write_text(f"#!{fake.program.parent}/python -I\nimport gunicorn\n")
    return f"the program {fake.program} needs /nowhere/python3.11, which does not exist"


def _remove_the_directory(fake: Fake) -> str:
    fake.properties["WorkingDirectory"] = "/nowhere/src"
    return "the working directory /nowhere/src does not exist"


def _remove_the_user(fake: Fake) -> str:
    fake.properties["User"] = "nobody-of-that-name"
    return "the user nobody-of-that-name does not exist"


@pytest.mark.parametrize(
    "spoil", [_drop_the_venv, _take_its_mode, _remove_its_python, _remove_the_directory, _remove_the_user]
)
def test_what_the_host_shows_is_the_cause_whatever_the_journal_holds(fake: Fake, spoil: Callable[[Fake], str]) -> None:
    cause = spoil(fake)
    error = start()
    assert error.message == f"{UNIT} did not start. Cause: {cause}."
    assert "requirements" not in error.hint


@pytest.mark.parametrize("uid", ["0", UID])
def test_the_line_of_systemd_s_child_is_shown_though_journald_knows_no_unit_of_it(fake: Fake, uid: str) -> None:
    fake.entries = [{**NAMESPACE, "_UID": uid}, *exited("226/NAMESPACE")]
    error = start()
    assert error.log == [entry["MESSAGE"] for entry in fake.entries]
    assert "Cause: systemd failed at step NAMESPACE (status 226)" in error.message
    assert error.hint.startswith("Its last output says why.")
    assert fake.syncs == 1


def test_another_app_cannot_write_into_the_message(fake: Fake) -> None:
    another = str(int(UID) + 1)
    forged = [of_child("forged", uid=another), {**of_child("", uid=another), "OBJECT_SYSTEMD_UNIT": UNIT}]
    fake.entries = [*forged, NAMESPACE, *exited("226/NAMESPACE")]
    assert start().log == [entry["MESSAGE"] for entry in fake.entries[2:]]


def test_another_unit_s_lines_are_left_out(fake: Fake) -> None:
    fake.entries = [*exited("226/NAMESPACE", WORKER), of_app("boom"), *exited("1/FAILURE")]
    assert start().log == [entry["MESSAGE"] for entry in fake.entries[2:]]


@pytest.mark.parametrize("held", [[], exited("226/NAMESPACE")])
def test_a_line_that_comes_late_is_waited_for(fake: Fake, held: list[Entry]) -> None:
    fake.entries = held
    fake.late = [NAMESPACE, *([] if held else exited("226/NAMESPACE"))]
    error = start()
    assert NAMESPACE["MESSAGE"] in error.log
    assert "step NAMESPACE" in error.message
    assert fake.syncs == 3


def test_a_line_that_never_comes_is_not_waited_for_without_end(fake: Fake) -> None:
    fake.entries = exited("226/NAMESPACE")
    error = start()
    assert "Cause: systemd failed at step NAMESPACE (status 226)" in error.message
    assert error.hint == "`man systemd.exec` explains NAMESPACE under Process Exit Codes."
    assert 5 <= fake.now - 1000 < 6


def test_the_app_s_own_error_stays_the_app_s_own(fake: Fake) -> None:
    fake.entries = [of_app("ModuleNotFoundError: No module named 'flask'"), *exited("3/NOTIMPLEMENTED")]
    error = start()
    assert error.message == f"{UNIT} did not start."
    assert error.log[0] == "ModuleNotFoundError: No module named 'flask'"
    assert fake.syncs == 1


def test_a_unit_that_is_not_installed_is_not_waited_for(fake: Fake) -> None:
    fake.known = False
    fake.properties |= {"LoadState": "not-found", "ActiveState": "inactive"}
    error = start()
    assert error.hint == "Unit not found."
    assert fake.syncs == 1


def _fail_the_gate(*_given: object, **_named: object) -> None:
    raise SlipwayError("Asked the new instance.", hint="The app stopped at boot: its output above says why.")


def _bring_up(monkeypatch: pytest.MonkeyPatch) -> SlipwayError:
    """The error of an instance that starts and then fails its health check."""
    monkeypatch.setattr(probe, "gate", _fail_the_gate)
    monkeypatch.setattr(units, "start", lambda _app, _release: None)
    with pytest.raises(SlipwayError) as caught:
        serving.bring_up(Layout("shop"), "3f2a9c1b04d7", SPEC)
    return caught.value


def test_a_health_check_says_that_the_instance_could_not_be_started(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.program.unlink()
    error = _bring_up(monkeypatch)
    assert error.message == f"Asked the new instance. Cause: the program {fake.program} does not exist."
    assert error.hint == "Is gunicorn in the app's requirements?"


def test_of_an_instance_that_runs_a_health_check_shows_the_log_alone(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It was started by a program that has been removed since, after a start that had failed.
    fake.properties["ActiveState"] = "active"
    fake.program.unlink()
    fake.entries = [NAMESPACE, *exited("226/NAMESPACE"), of_app("GET /healthz 404")]
    error = _bring_up(monkeypatch)
    assert error.message == "Asked the new instance."
    assert error.hint.startswith("The app stopped at boot")
    assert error.log[-1] == "GET /healthz 404"
    assert fake.syncs == 1


def test_a_worker_s_missing_program_is_named(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "ROOT", tmp_path)
    fake.program = tmp_path / "processes" / "mail"
    fake.entries = exited("203/EXEC", WORKER)
    # systemd tries once more just now.
    fake.properties["ActiveState"] = "activating"
    with pytest.raises(SlipwayError) as caught:
        workers.bring_over(Layout("shop"), "3f2a9c1b04d7", SPEC)
    error = caught.value
    assert error.message == f"The worker {WORKER} does not stay up. Cause: the program {fake.program} does not exist."
    assert error.log == [entry["MESSAGE"] for entry in fake.entries]


def test_the_error_is_shown_even_where_much_was_said_after_it() -> None:
    lines = ["ModuleNotFoundError: No module named 'flask'", *(f"    line {number}" for number in range(40))]
    said = failure.last_words(lines)
    assert said[0] == lines[0]
    assert said[-1] == lines[-1]
    assert len(said) == failure.LOG_LINES
    assert failure.last_words(lines[:5]) == lines[:5]


# -- commands that this program starts by itself: hooks and release_command


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> process.Place:
    monkeypatch.setattr(os, "geteuid", itertools.repeat(1000).__next__)
    (tmp_path / "bin").mkdir()
    return process.Place("shop", tmp_path, {"PATH": str(tmp_path / "bin")})


def refusal(place: process.Place, command: str) -> SlipwayError:
    with pytest.raises(SlipwayError) as caught:
        process.run_in(place, command, timeout=5, name="release_command")
    return caught.value


def test_a_command_that_is_nowhere(place: process.Place) -> None:
    error = refusal(place, "flask db upgrade")
    assert error.message == "release_command: there is no command 'flask'."
    assert error.hint == "Is the package that brings it in the dependency lock?"


@pytest.mark.parametrize("command", ["flask db upgrade", "bin/flask db upgrade"])
def test_a_command_whose_python_was_removed(place: process.Place, command: str) -> None:
    program = place.directory / "bin" / "flask"
    program.write_text("#!/nowhere/python3.11\n")
    program.chmod(0o755)
    error = refusal(place, command)
    assert error.message == f"release_command: the program {program} needs /nowhere/python3.11, which does not exist."


def test_a_command_that_is_not_executable(place: process.Place) -> None:
    program = place.directory / "manage.py"
    program.write_text("#!/bin/sh\n")
    error = refusal(place, "./manage.py upgrade")
    assert error.message == f"release_command: the program {program} is not executable."


def test_a_command_of_no_known_form(place: process.Place) -> None:
    program = place.directory / "bin" / "flask"
    program.write_bytes(b"\0\0")
    program.chmod(0o755)
    assert refusal(place, "flask").message == f"release_command: {program} could not be started: Exec format error."


def test_a_command_whose_directory_is_gone(place: process.Place) -> None:
    (place.directory / "bin").rmdir()
    gone = process.Place("shop", place.directory / "src", {"PATH": "/usr/bin:/bin"})
    assert refusal(gone, "true").message == f"release_command: the working directory {gone.directory} does not exist."


def test_the_caller_s_own_command_is_explained_too(place: process.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "in_release", lambda _app, _release: place)
    with pytest.raises(SlipwayError, match=r"flask could not be started: there is no command 'flask'\."):
        process.interactive("shop", place.directory, ["flask", "shell"])
