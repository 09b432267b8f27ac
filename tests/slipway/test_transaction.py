"""The release transaction: what serves after it, whatever happens in it."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from slipway import attempt, build, durable, history, recovery, transaction, units, workers
from slipway.errors import BUSY, SlipwayError
from slipway.lock import held
from slipway.spec import Migrations

from .conftest import Host


def deploy(host: Host, version: str = "1", **changes: object) -> str:
    return str(transaction.deploy(host.spec(version, **changes), host.archive())["release"])


def test_a_deploy_builds_checks_switches_and_retires(host: Host) -> None:
    first = deploy(host, "1")
    second = deploy(host, "2")
    assert host.current() == second != first
    assert host.systemd.running == {second}
    # Nobody's request is lost: the new instance ran before the old one was even asked to drain.
    assert host.systemd.calls.index(("start", second)) < host.systemd.calls.index(("drain", first))
    assert host.systemd.calls.index(("drain", first)) < host.systemd.calls.index(("stop", first))
    assert not host.layout.transaction.exists()


def test_visitors_are_sent_to_an_instance_when_all_of_its_workers_have_booted(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = deploy(host, "1")
    asked: list[str | None] = []

    def boots_slowly(_app: str, _release: str) -> bool:
        asked.append(host.current())
        return len(asked) == 3

    monkeypatch.setattr(units, "has_booted", boots_slowly)
    deploy(host, "2")
    assert asked == [first] * 3


def test_a_worker_that_boots_for_ever_does_not_hold_up_what_is_healthy(host: Host) -> None:
    release = build.release_id(host.spec("1"))
    host.slow.add(release)
    assert deploy(host, "1") == host.current() == release


def test_the_same_thing_again_is_no_change(host: Host) -> None:
    release = deploy(host)
    plan = transaction.plan(host.spec())
    assert not plan["changed"]
    assert (plan["release"], plan["current"], plan["present"]) == (release, release, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "other"},
        {"env": {"A": "b"}},
        {"release_command": "true"},
        {"settings": None},
        {"python": "/opt/python"},
    ],
)
def test_any_content_makes_another_release(host: Host, changes: dict[str, Any]) -> None:
    if "settings" in changes:
        changes = {"settings": type(host.spec().settings)(content=b'{"SECRET_KEY": "other"}')}
    assert build.release_id(host.spec(**changes)) != build.release_id(host.spec())


@pytest.mark.parametrize("changes", [{"actor": "x"}, {"keep": 9}, {"lock_timeout": 1.0}, {"revision": "abc"}])
def test_what_only_steers_the_deploy_does_not(host: Host, changes: dict[str, Any]) -> None:
    assert build.release_id(host.spec(**changes)) == build.release_id(host.spec())


def test_a_file_of_the_server_is_part_of_the_release(host: Host, tmp_path: Path) -> None:
    config = tmp_path / "shop.conf.py"
    config.write_text("workers = 2\n")
    before = build.release_id(host.spec(config_files=(str(config),)))
    config.write_text("workers = 3\n")
    assert build.release_id(host.spec(config_files=(str(config),))) != before
    release = deploy(host, config_files=(str(config),))
    assert (host.layout.release(release) / "shop.conf.py").read_text() == "workers = 3\n"


def test_settings_are_for_the_app_alone_and_code_is_not_its_to_change(host: Host) -> None:
    path = host.layout.release(deploy(host))
    assert stat.S_IMODE((path / "settings.json").stat().st_mode) == 0o640
    assert stat.S_IMODE((path / "env").stat().st_mode) == 0o600
    assert stat.S_IMODE((path / "src" / "app.py").stat().st_mode) == 0o640
    assert stat.S_IMODE(path.stat().st_mode) == 0o711
    assert "s3cret" not in (path / "release.json").read_text()
    assert "s3cret" not in host.layout.journal.read_text()


def test_an_unhealthy_release_never_serves(host: Host) -> None:
    good = deploy(host, "1")
    bad = build.release_id(host.spec("2"))
    host.unhealthy.add(bad)
    with pytest.raises(SlipwayError) as caught:
        deploy(host, "2")
    message = str(caught.value)
    assert "GET / with Host shop.example.com" in message
    assert "got 500" in message
    assert "the app's last words" in message
    assert f"Release {good} is still serving" in message
    assert host.current() == good
    assert host.systemd.running == {good}
    assert history.is_failed(host.layout, bad)
    assert history.read(host.layout)[-1]["result"] == "failed"
    host.unhealthy.clear()
    assert deploy(host, "2") == bad
    assert not history.is_failed(host.layout, bad)


def test_assets_of_what_served_before_stay_at_hand(host: Host) -> None:
    first, second = deploy(host, "1"), deploy(host, "2")
    assert host.layout.previous_id() == first
    transaction.rollback("shop", None, actor="me")
    assert host.layout.previous_id() == second
    third = deploy(host, "3", keep=1)
    assert host.layout.previous_id() == first
    # A release that served for a moment has sent pages too.
    host.broken_front = True
    with pytest.raises(SlipwayError, match="502"):
        deploy(host, "4")
    assert host.current() == third
    assert host.layout.previous_id() == build.release_id(host.spec("4"))


def test_an_instance_that_does_not_start_changes_nothing(host: Host) -> None:
    good = deploy(host, "1")
    host.systemd.refuses.add(build.release_id(host.spec("2")))
    with pytest.raises(SlipwayError, match="did not start"):
        deploy(host, "2")
    assert host.current() == good


def test_a_bad_answer_through_the_web_server_is_switched_back(host: Host) -> None:
    good = deploy(host, "1")
    host.broken_front = True
    with pytest.raises(SlipwayError, match="502"):
        deploy(host, "2")
    assert host.current() == good
    assert host.systemd.running == {good}


def test_a_first_deploy_that_fails_leaves_nothing(host: Host) -> None:
    host.broken_front = True
    with pytest.raises(SlipwayError, match="Nothing was serving before"):
        deploy(host)
    assert host.current() is None
    assert host.systemd.running == set()


def test_an_app_is_stopped_on_its_own_but_not_with_the_machine(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    release = deploy(host)
    monkeypatch.setattr(units, "is_machine_stopping", lambda: True)
    # systemd stops a socket only after the app's own unit, whose stop this is.
    transaction.stop("shop")
    assert host.systemd.running == {release}
    monkeypatch.setattr(units, "is_machine_stopping", lambda: False)
    transaction.stop("shop")
    assert host.systemd.running == set()


def test_the_machine_boots_into_the_very_first_release(host: Host) -> None:
    deploy(host)
    # The app's own unit is enabled while nothing serves yet: killed right after the switch, it still comes back.
    assert ("enable", "None") in host.systemd.calls


def test_a_failing_release_command_comes_before_any_start(host: Host) -> None:
    good = deploy(host, "1")
    with pytest.raises(SlipwayError, match="release_command") as caught:
        deploy(host, "2", release_command="sh -c 'echo no such column; exit 3'")
    assert "no such column" in str(caught.value)
    assert host.current() == good
    assert host.systemd.calls[-1][0] == "stop"
    assert ("start", build.release_id(host.spec("2", release_command="sh -c 'echo no such column; exit 3'"))) not in (
        host.systemd.calls
    )


def test_a_release_command_runs_with_the_new_settings(host: Host, tmp_path: Path) -> None:
    out = tmp_path / "seen"
    deploy(host, "1", release_command=f"sh -c 'cp $APP_SETTINGS {out}; pwd >> {out}'")
    assert "s3cret-value" in out.read_text()
    assert out.read_text().rstrip().endswith("/src")


def test_rolling_back_goes_back_and_back_again(host: Host) -> None:
    releases = [deploy(host, str(number)) for number in range(3)]
    transaction.rollback("shop", None, actor="me")
    assert host.current() == releases[1]
    transaction.rollback("shop", None, actor="me")
    assert host.current() == releases[0]
    with pytest.raises(SlipwayError, match="no earlier good release"):
        transaction.rollback("shop", None, actor="me")
    transaction.rollback("shop", releases[2], actor="me")
    assert host.current() == releases[2]
    assert host.systemd.running == {releases[2]}


def test_what_was_rolled_back_from_is_not_gone_back_to(host: Host) -> None:
    good, regretted = deploy(host, "1"), deploy(host, "2")
    transaction.rollback("shop", None, actor="me")
    deploy(host, "3")
    assert history.previous(host.layout) == good
    assert transaction.rollback("shop", None, actor="me")["release"] == good
    # Named, it is one like any other; and it stands on what it replaced.
    transaction.rollback("shop", regretted, actor="me")
    assert history.previous(host.layout) == good


def test_no_rollback_to_a_release_that_failed(host: Host) -> None:
    good = deploy(host, "1")
    bad = build.release_id(host.spec("2"))
    host.unhealthy.add(bad)
    with pytest.raises(SlipwayError):
        deploy(host, "2")
    with pytest.raises(SlipwayError, match="never good"):
        transaction.rollback("shop", bad, actor="me")
    third = deploy(host, "3")
    assert host.current() == third
    transaction.rollback("shop", None, actor="me")
    assert host.current() == good


def test_an_unhealthy_rollback_leaves_what_serves(host: Host) -> None:
    first, second = deploy(host, "1"), deploy(host, "2")
    host.unhealthy.add(first)
    with pytest.raises(SlipwayError):
        transaction.rollback("shop", None, actor="me")
    assert host.current() == second


def test_a_release_whose_python_is_gone_is_not_gone_back_to(host: Host) -> None:
    first, second = deploy(host, "1"), deploy(host, "2")
    python = host.layout.release(first) / "venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/usr/bin/python3.2")
    with pytest.raises(SlipwayError, match=r"built with /usr/bin/python3\.2, which this host no longer has"):
        transaction.rollback("shop", first, actor="me", force=True)
    assert ("start", first) not in host.systemd.calls[host.systemd.calls.index(("stop", first)) :]
    assert host.current() == second
    assert not history.is_failed(host.layout, first)


def test_a_rollback_that_the_database_does_not_allow_leaves_nothing_running(host: Host) -> None:
    asked = Migrations(current="sh -c 'cat $(dirname $APP_SETTINGS)/../../at'", heads="echo aaa")
    first, second = (deploy(host, version, migrations=asked) for version in "12")
    (host.layout.base / "at").write_text("bbb\n")
    with pytest.raises(SlipwayError, match="is at migration bbb"):
        transaction.rollback("shop", None, actor="me")
    assert host.current() == second
    assert host.systemd.running == {second}
    # It was no attempt, so the release is as good as it was.
    (host.layout.base / "at").write_text("aaa\n")
    assert transaction.rollback("shop", None, actor="me")["release"] == first


def test_old_releases_go_but_never_the_one_to_roll_back_to(host: Host) -> None:
    releases = [deploy(host, str(number), keep=1) for number in range(4)]
    on_disk = {path.name for path in host.layout.releases.iterdir()}
    assert on_disk == set(releases[-2:])


def test_a_second_deploy_is_told_who_holds_the_lock(host: Host) -> None:
    with held(host.layout, actor="ada@laptop", timeout=0), pytest.raises(SlipwayError, match="ada@laptop") as caught:
        deploy(host, lock_timeout=0.0)
    assert caught.value.code == BUSY
    deploy(host)


@pytest.mark.parametrize("step", ["start", "front", "retire"])
def test_a_disk_that_fills_up_at_any_time_is_said_plainly(
    host: Host, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    good = deploy(host, "1")
    original = attempt.Run.step
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/srv/shop/x")

    def no_room(*_args: object, **_kwargs: object) -> None:
        raise full

    def fill(run: attempt.Run, name: str, work: object) -> object:
        if name == step:
            monkeypatch.setattr(durable, "append_line", no_room)
            monkeypatch.setattr(durable, "write_file", no_room)
        return original(run, name, work)  # type: ignore[arg-type]

    monkeypatch.setattr(attempt.Run, "step", fill)
    with pytest.raises(SlipwayError, match="/srv/shop/x: No space left on device") as caught:
        deploy(host, "2")
    serving = host.current()
    assert f"Release {serving} is still serving" in str(caught.value)
    assert (serving == good) == (step != "retire")


def test_a_failure_is_told_though_the_disk_takes_no_record_of_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(host, "1")
    host.broken_front = True

    def no_room(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "append_line", no_room)
    with pytest.raises(SlipwayError, match="502"):
        deploy(host, "2")


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours may run after it."""


STEPS = ["build", "start", "switch", "front", "retire", "prune"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_step_the_next_run_puts_it_right(
    host: Host, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    good = deploy(host, "1")
    original = attempt.Run.step

    def deadly(run: attempt.Run, name: str, work: object) -> object:
        if name != step:
            return original(run, name, work)  # type: ignore[arg-type]
        if after:
            original(run, name, work)  # type: ignore[arg-type]
        else:
            original(run, name, lambda: None)
        os._exit(9)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(attempt.Run, "step", deadly)
        deploy(host, "2")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    # systemd outlives the program: what the dead one started still runs.
    second = build.release_id(host.spec("2"))
    host.systemd.running.add(host.current() or good)
    assert host.current() in {good, second}
    assert build.is_complete(host.layout, host.current() or "")
    assert deploy(host, "2") == second
    assert host.current() == second
    assert host.systemd.running == {second}
    assert not host.layout.transaction.exists()
    assert not list(host.layout.releases.glob(".building-*"))
    assert transaction.rollback("shop", None, actor="me")["release"] == good


def test_a_dead_switch_to_a_sick_release_goes_back(host: Host) -> None:
    good, sick = deploy(host, "1"), deploy(host, "2")
    intent = {"action": "deploy", "release": sick, "previous": good, "step": "front"}
    host.layout.transaction.write_text(json.dumps(intent))
    host.unhealthy.add(sick)
    recovery.recover(host.layout)
    assert host.current() == good
    assert host.systemd.running == {good}
    assert history.is_failed(host.layout, sick)


def test_the_order_that_survives_a_power_cut(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    rename, sync_tree, sync_directory = os.rename, durable.sync_tree, durable.sync_directory

    def note_rename(source: Path, target: Path) -> None:
        rename(source, target)
        order.append(f"rename {Path(source).name.split('-')[0]} -> {Path(target).name}")

    monkeypatch.setattr(os, "rename", note_rename)

    def note_sync_tree(path: Path) -> None:
        sync_tree(path)
        order.append(f"sync {path.name}")

    def note_sync_directory(path: Path) -> None:
        sync_directory(path)
        order.append(f"sync parent {path.name}")

    monkeypatch.setattr(durable, "sync_tree", note_sync_tree)
    monkeypatch.setattr(durable, "sync_directory", note_sync_directory)
    release = deploy(host)
    steps = [f"sync .building-{release}", f"rename .building -> {release}", "sync parent releases"]
    where = [order.index(step, order.index(steps[0])) for step in steps]
    assert where == sorted(where)
    switch = next(index for index, step in enumerate(order) if step.endswith("-> current"))
    assert where[-1] < switch
    assert order[switch + 1] == "sync parent shop"


def test_at_boot_the_current_release_starts(host: Host) -> None:
    release = deploy(host)
    host.systemd.running.clear()
    transaction.start("shop")
    assert host.systemd.running == {release}


def test_units_are_named_after_app_and_release() -> None:
    assert units.service("shop", "3f2a9c1b04d7") == "shop@3f2a9c1b04d7.service"


def test_a_plan_does_without_files_that_a_dry_run_left_out(host: Host) -> None:
    deploy(host)
    plan = transaction.plan(host.spec(unit_files=("/nonexistent/shop.mail@.service",)))
    assert plan["changed"]


def test_a_worker_that_dies_of_an_interrupted_deploy_does_not_block_the_next(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, sick = deploy(host, "1"), deploy(host, "2")
    intent = {"action": "deploy", "release": sick, "previous": good, "step": "workers"}
    host.layout.transaction.write_text(json.dumps(intent))

    def bring_over(_layout: object, release: str, _spec: object) -> None:
        if release == sick:
            raise SlipwayError("the worker does not stay up")

    monkeypatch.setattr(workers, "bring_over", bring_over)
    recovery.recover(host.layout)
    assert host.current() == good
    assert history.is_failed(host.layout, sick)
    assert deploy(host, "3") == host.current()
