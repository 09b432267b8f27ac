"""Gives each file of checks a test VPS of its own: a clone of its scenario's snapshot, on each Debian.

pytest molecule/edge --debian 13                    # one scenario on one Debian
pytest 'molecule/edge/checks_http.py' -k etags --keep   # one check, on a host that stays
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from molecule.shared import report, snapshots
from molecule.shared.podman import journal
from molecule.shared.scenario import PROJECT, STATE, Scenario
from molecule.shared.vps import Vps

DEBIANS = ("12", "13")
# `molecule verify` has the scenario's own hosts asked: none is made.
GIVEN = bool(os.environ.get("VPS_GIVEN"))
# The longest files come first, so that none of them is left for the end; the others follow in their order.
FIRST = (
    "host-lockout", "crash", "data-backup", "apart", "edge-http_operator", "environments", "lifecycle",
    "data-postgresql", "foreign", "host-host", "default-preflight", "edge-certificates", "default", "edge-graders",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("test VPS")
    given = os.environ.get("VPS_DEBIAN") or (DEBIANS[0] if GIVEN else "")
    group.addoption(
        "--debian", default=given, help="the Debian releases to check on; without it 12, for `default` both"
    )
    group.addoption("--keep", action="store_true", help="leave the hosts running, and go on with those that were left")


def pytest_configure() -> None:
    # Ansible's tools and uv stand beside Python, whether or not the virtual environment is active.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def unit_of(path: Path) -> str:
    """Return the name of a file of checks: `edge` for molecule/edge/checks.py, `edge-http` for its checks_http.py."""
    return f"{path.parent.name}{path.stem.removeprefix('checks').replace('_', '-', 1)}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "debian" in metafunc.fixturenames:
        everywhere = metafunc.definition.path.parent.name == "default"
        debians = re.findall(r"\d+", metafunc.config.getoption("debian")) or DEBIANS[: 2 if everywhere else 1]
        metafunc.parametrize("debian", debians, scope="module", ids=[f"debian{each}" for each in debians])


def _rank(item: pytest.Item) -> tuple[int, str, str]:
    """Where an item comes: by how long its file takes, by Debian, as its file has it."""
    unit = unit_of(item.path)
    debian = item.callspec.params.get("debian", "") if hasattr(item, "callspec") else ""
    rank = next((at for at, name in enumerate(FIRST) if unit == name or unit.startswith(f"{name}-")), len(FIRST))
    return rank, unit, debian


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)


class Units(LoadScopeScheduling):
    """Gives a worker all checks of a file on one Debian, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        folder = (PROJECT / path).parent
        # Hosts that know each other cannot be cloned: all their checks are for them.
        one = folder.name if len(Scenario(folder.name, "").hosts) > 1 else path
        debian = re.search(r"debian\d+", test)
        return f"{one} {debian[0] if debian else f'debian{DEBIANS[0]}'}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Units:
    return Units(config, log)


# -- the whole run


def _alone() -> IO[str]:
    """Keep a second run away, which would take this one's hosts for left ones."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    lock = (STATE / "run.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pytest.exit("Another run of the checks goes on in this checkout: wait for its end, or stop it.", returncode=4)
    return lock


def pytest_sessionstart(session: pytest.Session) -> None:
    if GIVEN or hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    session.config.stash[report.LOCK] = _alone()
    (STATE / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
    (STATE / "logs" / "snapshots.txt").unlink(missing_ok=True)
    # What a run that was killed has left.
    if not session.config.getoption("keep"):
        snapshots.discard(*snapshots.running())
    snapshots.secrets()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not GIVEN and not hasattr(config, "workerinput"):
        report.durations(terminalreporter)
        kept = snapshots.running() if config.getoption("keep") else []
        for name in kept:
            terminalreporter.write_line(f"kept: podman exec -it {name} bash   (removed by the next run without --keep)")


# -- one file of checks


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@pytest.fixture(scope="module")
def scenario(request: pytest.FixtureRequest, debian: str) -> Scenario:
    return Scenario(request.path.parent.name, debian)


@pytest.fixture(scope="module")
def unit(request: pytest.FixtureRequest, scenario: Scenario) -> str:
    """What the hosts of this file are called, beside their scenario."""
    if GIVEN:
        return ""
    if len(scenario.hosts) > 1:
        return "checks"
    return unit_of(request.path).removeprefix(scenario.name).strip("-").replace("_", "-") or "checks"


@pytest.fixture(scope="module")
def hosts(request: pytest.FixtureRequest, scenario: Scenario, unit: str) -> Iterator[dict[str, Vps]]:
    """The hosts of the scenario, by name: a clone of its snapshot, or where they are several those that it made."""
    names = [scenario.vps(host, unit) for host in scenario.hosts]
    keep = GIVEN or request.config.getoption("keep")
    with pytest.MonkeyPatch.context() as patch:
        # For each run of Ansible in the checks.
        for key, value in snapshots.environment(scenario, unit).items():
            patch.setenv(key, value)
        described = [snapshots.keys(name) / "vps.json" for name in names]
        if not (GIVEN or (keep and all(path.exists() for path in described))):
            snapshots.discard(*names)
            try:
                described = snapshots.converge(scenario, unit) if len(names) > 1 else [snapshots.clone(scenario, unit)]
            except snapshots.ConvergeError as error:
                snapshots.discard(*names)
                pytest.fail(str(error), pytrace=False)
        yield {host: Vps.read(path) for host, path in zip(scenario.hosts, described, strict=True)}
        if not keep:
            snapshots.discard(*names)


@pytest.fixture(scope="module")
def vps(hosts: dict[str, Vps]) -> Vps:
    """The host that most checks ask: the scenario's only one, or the first."""
    return next(iter(hosts.values()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Add to a failure what its hosts' journals say, and how to have it again."""
    made: Any = yield
    if made.failed:
        hosts = getattr(item, "funcargs", {}).get("hosts", {})
        for vps in hosts.values():
            said = journal(vps.name) or "none has failed"
            made.sections.append((f"journal of the units that have failed on {vps.name}", said))
        made.sections.append(("this check alone, on a host that stays", f".venv/bin/pytest --keep '{item.nodeid}'"))
    return made
