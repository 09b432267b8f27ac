"""What visitors notice of deploys, of bad releases, of deaths and of a host in trouble: nothing, or next to it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from molecule.shared.program import RefusedError
from molecule.shared.waiting import until

from . import figures
from .load import ENOUGH, PAGE
from .steady import APP, BASE, DOMAIN, Steady

STEADY_SECONDS = 5


@pytest.fixture(scope="module")
def steady(vps: Any, tmp_path_factory: pytest.TempPathFactory) -> Steady:
    return Steady(vps, tmp_path_factory.mktemp("steady"))


@pytest.fixture
def figures_file(vps: Any, project: Path) -> Path:
    """Where the figures of a run stay for a reader; nothing is ever asserted of them."""
    logs = project / ".slipway" / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    return logs / f"{vps.name}.json"


def test_visitors_notice_nothing_of_deploys_rollbacks_and_new_settings(steady: Steady, figures_file: Path) -> None:
    known: dict[str, tuple[str, str]] = {}
    switches: list[float] = []
    steps: list[dict[str, float]] = []

    def note(done: dict[str, Any]) -> None:
        assert done["changed"]
        switches.append(steady.switched())
        steps.append(done["steps"])

    def deploy(source: Path, mark: str) -> None:
        done = steady.deploy(source, settings={"MARK": mark})
        known[done["release"]] = ((source / "version.txt").read_text(), mark)
        note(done)

    source = steady.version()
    deploy(source, "first")
    switches.clear()
    with steady.visitors() as records:
        began = time.time()
        time.sleep(STEADY_SECONDS)
        for number in range(1, 21):
            source = steady.version()
            deploy(source, "first")
            if number % 4 == 0:
                note(steady.rollback())
            if number % 6 == 0:
                deploy(source, f"settings-{number}")
        steady.await_visitors()

    assert len(switches) == 28
    assert not figures.wrong(records), "\n".join(figures.wrong(records)[:20])
    torn = [
        record
        for record in records
        if record.kind == "page" and (record.version, record.mark) != known.get(record.release)
    ]
    assert torn == []
    assert {record.release for record in records if record.release} == set(known)
    slow = figures.in_flight(records, switches, "slow")
    assert len(records) >= ENOUGH
    assert len(slow) >= 200
    for kind in ("upload", "stream"):
        assert figures.in_flight(records, switches, kind), f"no {kind} met a switch"
    quiet = [record for record in records if began + 1 < record.began and record.ended < began + STEADY_SECONDS]
    met = [record for record in records if any(record.began < m + 0.5 and record.ended > m for m in switches)]
    figures_file.write_text(
        json.dumps(
            {
                "requests": figures.counts(records),
                "wrong": 0,
                "slow in flight at a switch": len(slow),
                "seconds": round(max(record.ended for record in records) - began, 1),
                "milliseconds": {
                    "steady": figures.milliseconds(quiet),
                    "all": figures.milliseconds(records),
                    "at a switch": figures.milliseconds(met),
                },
                "seconds of each step": {
                    name: round(sum(each[name] for each in steps if name in each) / len(steps), 3) for name in steps[0]
                },
            },
            indent=2,
        )
    )


# Of each release, the first worker to load the app takes no time, and the next one half a second.
BOOTS_SLOWLY = """
import fcntl
with Path("instance", "booted.log").open("a+") as log:
    fcntl.flock(log, fcntl.LOCK_EX)
    log.seek(0)
    if RELEASE in log.read():
        time.sleep(0.5)
    log.write(f"{RELEASE} {time.time()}\\n")
"""


def test_an_instance_gets_visitors_when_all_of_its_workers_have_booted(steady: Steady) -> None:
    code = (Path(__file__).parent / "app" / "steady.py").read_text() + BOOTS_SLOWLY
    steady.deploy(steady.version(steady__py=code))
    lines = [line.split() for line in steady.vps.run("cat", f"{BASE}/shared/instance/booted.log").splitlines()]
    booted = [float(when) for release, when in lines if release == steady.current()]
    assert len(booted) == 2
    assert max(booted) < steady.switched()


IMPORTS_NOTHING = "from flask import nothing_of_the_kind\n"


def _without(lock: Path, package: str) -> str:
    """A lock that lacks a package."""
    entries = [entry for entry in lock.read_text().split("\n") if entry]
    kept, skipping = [], False
    for line in entries:
        if not line.startswith(" "):
            skipping = line.startswith(f"{package}==")
        if not skipping:
            kept.append(line)
    return "\n".join(kept) + "\n"


LOCK = Path(__file__).parent / "app" / "requirements.txt"
BAD: dict[str, tuple[dict[str, str], dict[str, Any], tuple[str, ...]]] = {
    # What of the source is bad, what of the app's keys, and what the last screen has to say.
    "import error": ({"steady__py": IMPORTS_NOTHING}, {}, ("cannot import name 'nothing_of_the_kind'",)),
    "missing dependency": ({"requirements__txt": _without(LOCK, "flask")}, {}, ("No module named 'flask'",)),
    "missing server": ({"requirements__txt": _without(LOCK, "gunicorn")}, {}, ("venv/bin/gunicorn does not exist",)),
    "crash after boot": ({}, {"settings": {"HEALTH": "crash"}}, ("the cache is gone", "GET /healthz")),
    "health 500": ({}, {"settings": {"HEALTH": "error"}}, ("GET /healthz", "500", "the queue is unreachable")),
    "health redirect": ({}, {"settings": {"HEALTH": "redirect"}}, ("GET /healthz", "302", "to /login")),
    "health too slow": ({}, {"settings": {"HEALTH": "slow"}}, ("GET /healthz", "no answer within 5 s")),
    "failing hook": (
        {},
        {"hooks": {"before_switch": {"command": "sh -c 'echo the cache is cold; exit 3'"}}},
        ("hooks.before_switch", "the cache is cold"),
    ),
    "failing migration": ({}, {"settings": {"MIGRATION": "fails"}}, ("release_command", "no such column: visits")),
}
SCREEN = 40


def test_a_bad_release_never_serves_and_says_why(steady: Steady) -> None:
    steady.deploy(steady.version())
    good = steady.current()
    failures = {}
    with steady.visitors() as records:
        for name, (files, changes, causes) in BAD.items():
            # The first by Ansible: what it shows of the others is the same.
            deploy = steady.playbook if name == "import error" else steady.attempt
            done = deploy(steady.version(**files), **changes)
            screen = "\n".join(done.stdout.splitlines()[-SCREEN:])
            missing = [cause for cause in (*causes, f"Release {good} is still serving") if cause not in screen]
            if done.returncode == 0 or missing or steady.current() != good:
                failures[name] = f"exit code {done.returncode}, not said: {missing}\n{screen}"
    assert failures == {}, "\n\n".join(f"{name}: {text}" for name, text in failures.items())
    assert not figures.wrong(records), "\n".join(figures.wrong(records)[:20])
    assert {record.release for record in records if record.release} == {good}
    steady.deploy(steady.version())
    assert steady.current() != good


def test_assets_of_the_release_before_stay_and_older_ones_go(steady: Steady, vps: Any) -> None:
    def asset() -> str:
        found = PAGE.search(vps.https(DOMAIN).body)
        assert found
        return found["asset"]

    steady.deploy(steady.version())
    first = asset()
    steady.deploy(steady.version())
    answer = vps.https(DOMAIN, first)
    assert asset() != first
    assert answer.status == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert vps.https(DOMAIN, "/static/page.00000000.css").status == 404
    steady.deploy(steady.version())
    assert vps.https(DOMAIN, first).status == 404


HOOKS = {"hooks": {name: {"command": "true"} for name in ("before_build", "before_switch", "after_switch")}}


STEPS = {"build", "release_command", "start", "before_switch", "switch", "front", "after_switch", "retire", "prune"}


def _steps(steady: Steady, **changes: Any) -> list[str]:
    """The steps of a deploy that has all of them, and whichever the program may learn."""
    steps = list(steady.deploy(steady.version(), **HOOKS, **changes)["steps"])
    assert set(steps) >= STEPS
    return steps


def _whole(steady: Steady, allowed: set[str]) -> None:
    """What serves is one whole release, and one of those that it may be."""
    current = steady.current()
    assert current in allowed
    page = PAGE.search(steady.vps.https(DOMAIN).body)
    assert page
    assert page["release"] == current
    assert page["disk"] == page["version"]
    assert f"/* version {page['version']} */" in steady.vps.https(DOMAIN, page["asset"]).body


def _die_and_repeat(steady: Steady, point: str, kill: Callable[[], None], **changes: Any) -> None:
    """Kill a deploy at a fault point; then the very same deploy has to succeed and leave nothing behind."""
    old = steady.current()
    source = steady.version()
    request, archive = steady.request(source, **HOOKS, **changes), steady.send(source)
    arguments = ["deploy", "--archive", archive]
    new = steady.slipway("plan", request=[request])[0]["release"]
    steady.die(point, *arguments, request=request, kill=kill, look=lambda: _whole(steady, {old, new}))
    _whole(steady, {old, new})
    assert steady.slipway("plan", request=[request])[0]["changed"], f"{point}: the next run saw nothing to do"
    steady.slipway(*arguments, request=request)
    _whole(steady, {new})
    assert steady.untidy() == [], point
    assert steady.before() == old, point


def test_killed_at_each_step_it_serves_a_whole_release_and_the_next_run_succeeds(steady: Steady) -> None:
    steps = _steps(steady, **steady.tended)
    with steady.visitors() as records:
        for point in (f"{steps[0]}:before", *(f"{step}:after" for step in steps)):
            _die_and_repeat(steady, point, steady.kill_process, **steady.tended)
            assert set(steady.workers()) == {f"{APP}.ticker@{steady.current()}.service", f"{APP}.nightly.timer"}, point
    steady.deploy(steady.version())
    assert steady.workers() == []
    assert not figures.wrong(records), "\n".join(figures.wrong(records)[:20])


def test_a_rollback_killed_at_each_step_can_be_repeated(steady: Steady) -> None:
    releases = [steady.deploy(steady.version(), **HOOKS)["release"] for _ in range(2)]
    steps = list(steady.rollback(releases[0])["steps"])
    with steady.visitors() as records:
        for number, step in enumerate(steps, start=1):
            target = releases[number % 2]
            steady.die(f"{step}:after", "rollback", APP, target, kill=steady.kill_process)
            _whole(steady, set(releases))
            steady.rollback(target)
            _whole(steady, {target})
            assert steady.untidy() == [], step
    assert not figures.wrong(records), "\n".join(figures.wrong(records)[:20])


def test_a_recovery_that_is_killed_itself_is_recovered_from(steady: Steady) -> None:
    old = steady.current()
    source = steady.version()
    request, archive = steady.request(source), steady.send(source)
    for point in ("switch:after", "recover"):
        steady.die(point, "deploy", "--archive", archive, request=request, kill=steady.kill_process)
    done = steady.slipway("deploy", "--archive", archive, request=request)
    _whole(steady, {done["release"]})
    assert steady.untidy() == []
    assert steady.before() == old


def test_a_deploy_has_a_share_of_the_processor_that_is_not_the_apps(steady: Steady) -> None:
    source = steady.version()
    request, archive = steady.request(source), steady.send(source)

    def look() -> None:
        pid = json.loads(steady.vps.run("cat", f"{BASE}/deploy.lock"))["pid"]
        assert f"/system.slice/slipway-deploy-{pid}.scope" in steady.vps.run("cat", f"/proc/{pid}/cgroup")

    steady.die("build:before", "deploy", "--archive", archive, request=request, kill=steady.kill_process, look=look)
    steady.slipway("deploy", "--archive", archive, request=request)
    assert not steady.vps.run("systemctl", "list-units", "--all", "--no-legend", "slipway-deploy-*")


def test_the_machine_dies_at_each_step_and_boots_into_a_whole_release(steady: Steady) -> None:
    steps = _steps(steady)
    for point in (f"{steps[0]}:before", *(f"{step}:after" for step in steps)):
        _die_and_repeat(steady, point, steady.kill_machine)


@pytest.mark.parametrize("victim", ["worker", "master"])
def test_who_dies_takes_only_the_requests_in_flight_there(steady: Steady, vps: Any, victim: str) -> None:
    unit = f"{APP}@{steady.current()}.service"

    def processes() -> dict[str, set[str]]:
        master = vps.run("systemctl", "show", "-P", "MainPID", unit)
        return {"master": {master} - {"0"}, "worker": set(vps.run("pgrep", "-P", master, check=False).split())}

    before = processes()
    with steady.visitors() as records:
        killed = time.time()
        vps.run("kill", "-KILL", min(before[victim]))
        # With its master a worker goes too, a moment later; what it had accepted meanwhile was in flight there.
        gone = before["master"] | before["worker"] if victim == "master" else {min(before[victim])}
        until(lambda: not gone & set(vps.run("ps", "-eo", "pid=").split()), "the killed to be gone")
        dead = time.time()
        until(lambda: len((now := processes())["worker"]) == 2 and now[victim] != before[victim], "another to run")
        again = time.time()
        until(lambda: vps.https(DOMAIN).status == 200 and time.time() > again + 2, "visitors to go on")
    lost = [record for record in records if record.error]
    assert lost, "nothing was in flight: the check shows nothing"
    assert [record for record in lost if record.began > dead or record.ended < killed] == []
    meanwhile = [record for record in records if record.began > dead and not record.error]
    assert len(meanwhile) > 100


def _state(steady: Steady) -> str:
    """All that a deploy may change, in one text."""
    listing = "ls -l /srv/steady/releases /srv/steady/venvs; readlink /srv/steady/current; ls -A /srv/steady"
    return str(steady.vps.run("sh", "-c", listing))


@contextlib.contextmanager
def _full_disk(vps: Any) -> Iterator[None]:
    """The app on a small disk of its own that is full."""
    vps.run(
        "sh",
        "-euc",
        f"""
        mkdir /mnt/small
        mount -t tmpfs -o size=$(( $(du -sm {BASE} | cut -f1) + 32 ))m small /mnt/small
        cp -a {BASE}/. /mnt/small
        mount --move /mnt/small {BASE}
        dd if=/dev/zero of={BASE}/filler bs=64k 2>/dev/null || true
    """,
    )
    try:
        yield
    finally:
        vps.run("sh", "-euc", f"umount -l {BASE}; rmdir /mnt/small")


@contextlib.contextmanager
def _read_only(vps: Any) -> Iterator[None]:
    vps.run("sh", "-euc", f"mount --bind {BASE} {BASE}; mount -o remount,bind,ro {BASE}")
    try:
        yield
    finally:
        vps.run("umount", "-l", BASE)


@contextlib.contextmanager
def _no_route(vps: Any) -> Iterator[None]:
    route = vps.run("ip", "route", "show", "default").splitlines()[0]
    vps.run("sh", "-euc", "mv /var/cache/slipway/uv /var/cache/slipway/away; ip route del default")
    try:
        yield
    finally:
        vps.run(
            "sh",
            "-euc",
            f"ip route add {route}; rm -rf /var/cache/slipway/uv; mv /var/cache/slipway/away /var/cache/slipway/uv",
        )


OTHER_LOCK = LOCK.read_text() + "# the same packages, but another lock\n"
TROUBLE = {
    "full disk": (_full_disk, ("/srv/steady", "No space left on device")),
    "read-only directory": (_read_only, ("/srv/steady", "Read-only file system")),
    "no route to the index": (_no_route, ("The dependencies could not be installed", "error")),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_a_host_in_trouble_says_so_and_changes_nothing(steady: Steady, vps: Any, name: str) -> None:
    trouble, causes = TROUBLE[name]
    source = steady.version(requirements__txt=f"{OTHER_LOCK}# {time.time_ns()}\n")
    good = steady.current()
    with steady.visitors() as records, trouble(vps):
        before = _state(steady)
        done = steady.playbook(source)
        after = _state(steady)
        _whole(steady, {good})
    screen = "\n".join(done.stdout.splitlines()[-SCREEN:])
    assert done.returncode
    for cause in (*causes, f"Release {good} is still serving"):
        assert cause in screen, screen
    assert "Traceback" not in screen
    assert after == before
    assert not figures.wrong(records), "\n".join(figures.wrong(records)[:20])
    steady.deploy(source)
    assert steady.current() != good


def test_a_vanished_source_changes_nothing(steady: Steady) -> None:
    before = _state(steady)
    done = steady.playbook(steady.scratch / "nowhere")
    assert done.returncode
    assert f"there is no directory {steady.scratch / 'nowhere'}" in done.stdout
    request = steady.request(steady.version())
    with pytest.raises(RefusedError, match=r"^/root/nowhere\.tar\.gz: No such file") as refused:
        steady.slipway("deploy", "--archive", "/root/nowhere.tar.gz", request=request)
    assert f"Release {steady.current()} is still serving" in str(refused.value)
    assert _state(steady) == before


def test_the_same_again_costs_three_round_trips_at_most_and_changes_nothing(steady: Steady) -> None:
    source = steady.version()
    assert steady.playbook(source).returncode == 0
    before = _state(steady)
    again = steady.playbook(source, "-vvvv")
    assert "changed=0" in again.stdout
    # Of the whole playbook: headlines come when a task has answered, so that they do not tell whose round trip it was.
    assert 1 <= (again.stdout + again.stderr).count("SSH: EXEC") <= 3
    assert _state(steady) == before


def test_new_code_does_not_make_systemd_read_all_its_units_again(steady: Steady, vps: Any) -> None:
    def units_read() -> str:
        return str(vps.run("systemctl", "show", "--property=UnitsLoadTimestampMonotonic"))

    for processes in (steady.tended, {}):
        steady.deploy(steady.version(), **processes)
        before = units_read()
        steady.deploy(steady.version(), **processes)
        # While it does, whoever starts a thread waits: visitors waited 25 ms.
        assert units_read() == before
    assert steady.workers() == []


def test_new_code_with_the_same_lock_installs_nothing(steady: Steady, vps: Any) -> None:
    def packages() -> str:
        return str(vps.run("sh", "-c", f"find {BASE}/venvs -printf '%p %i %T@ %C@\n' | sort"))

    before = packages()
    steady.deploy(steady.version())
    assert packages() == before
