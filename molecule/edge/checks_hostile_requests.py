"""Requests that two servers might cut at different places: the app sees what nginx's access log says, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from molecule.shared.waiting import until

from .observed import Observer
from .smuggling import CASES, FRAMES, Case, Frames


@pytest.fixture(scope="module")
def observer(vps: Any) -> Observer:
    return Observer(vps)


@pytest.fixture(scope="module")
def statuses(observer: Observer) -> dict[str, tuple[int, ...]]:
    """Sends everything, and says what came back for each case."""
    answers = {case.name: observer.client.raw(case.data(observer.run), len(case.statuses)) for case in CASES}
    answers |= {frames.name: [observer.client.frames(frames.block(observer.run), frames.body)] for frames in FRAMES}
    return {name: tuple(answer.status for answer in given) for name, given in answers.items()}


@pytest.fixture(scope="module")
def seen(observer: Observer, statuses: dict[str, tuple[int, ...]]) -> dict[str, list[str]]:
    """What the app saw of each case, once everything that was sent has been dealt with."""
    assert statuses
    assert observer.ask(f"GET /seen/{observer.run}/last/asked HTTP/1.1".encode()).status == 200
    until(lambda: "last" in observer.sightings(), "the journal has the last request")
    rows = observer.sightings()
    return {
        name: sorted(f"{row['method']} {row['target'].split('/', 4)[4]} {row['length']}" for row in rows[name])
        for name in statuses
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_smuggled_over_http_1(
    case: Case, statuses: dict[str, tuple[int, ...]], seen: dict[str, list[str]]
) -> None:
    assert (statuses[case.name], seen[case.name]) == (case.statuses, sorted(case.seen))


@pytest.mark.parametrize("frames", FRAMES, ids=lambda frames: frames.name)
def test_nothing_is_smuggled_over_http_2(
    frames: Frames, statuses: dict[str, tuple[int, ...]], seen: dict[str, list[str]]
) -> None:
    assert statuses[frames.name][0] in frames.statuses
    assert seen[frames.name] == sorted(frames.seen)


def test_the_app_saw_what_nginx_logged(observer: Observer, seen: dict[str, list[str]]) -> None:
    assert seen
    until(lambda: observer.seen() == observer.logged(), "the access log has what the app saw")
