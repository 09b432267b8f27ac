"""Runs every molecule scenario, so that `pytest molecule` is the whole answer to: does it work on a real Debian?"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
LOGS = PROJECT / ".slipway" / "logs"
DEBIANS = ("12", "13")
# A scenario that says nothing for this long is stuck; the slowest step takes a few minutes.
LIMIT = 45 * 60
TAIL = 120
# The long ones begin, so that nobody waits for them at the end. Each worker takes two at first: hence a short one
# behind each of them.
FIRST = ("host", "roles", "edge", "apart", "data", "crash", "lifecycle", "environments", "foreign")


def runs() -> Iterator[tuple[str, str]]:
    """Every scenario on Debian 12, the default one on 13 too, all on both where SLIPWAY_TEST_ALL asks for it."""
    everything = bool(os.environ.get("SLIPWAY_TEST_ALL"))
    scenarios = sorted(config.parent.name for config in (PROJECT / "molecule").glob("*/molecule.yml"))
    for scenario in [*FIRST, *(name for name in scenarios if name not in FIRST)]:
        for debian in DEBIANS:
            if everything or debian == DEBIANS[0] or scenario == "default":
                yield scenario, debian


@pytest.mark.parametrize(("scenario", "debian"), list(runs()))
def test_scenario(scenario: str, debian: str) -> None:
    LOGS.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = LOGS / f"{scenario}-{debian}.log"
    environment = os.environ | {
        "VPS_DEBIAN": debian,
        # molecule finds Ansible there, whether or not the virtual environment is active.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        # Two Debians of one scenario have nothing in common, molecule's notes on what it has done neither.
        "MOLECULE_EPHEMERAL_DIRECTORY": str(PROJECT / ".slipway" / "molecule" / f"{scenario}-{debian}"),
        "MOLECULE_COMMAND_BORDERS": "false",
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
    }
    with log.open("w", encoding="utf-8") as output:
        result = subprocess.run(
            [sys.executable, "-m", "molecule", "test", "--scenario-name", scenario],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
    if result.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
        end = f"{scenario} failed on Debian {debian}. Everything it said: {log}"
        pytest.fail("\n".join([*tail, end]), pytrace=False)
