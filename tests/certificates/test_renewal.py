"""When a certificate is asked for, and what becomes of the one that is served."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import renew
from authority import RefusedError
from certificate_store import Store
from due import reason, renewal
from settings import Settings

from tests.certificates.pki import NOW, Authority, Leaf

URL = "https://acme.example.com/directory"
SHOP = ["shop.example.com"]
ROOT = Authority()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folders = {name: tmp_path / name for name in ("challenges", "certificates", "state")}
    return Settings("shop", SHOP, URL, "", "", reload="", **folders)


def serve(settings: Settings, leaf: Leaf, origin: str = URL, name: str = "acme-1") -> Store:
    store = Store(settings.certificates, settings.app)
    store.put(name, leaf.certificate.encode(), leaf.key.encode(), origin)
    return store


def authority(monkeypatch: pytest.MonkeyPatch, answer: Leaf | Exception) -> None:
    def ask(_: Settings) -> tuple[bytes, bytes]:
        if isinstance(answer, Exception):
            raise answer
        return answer.certificate.encode(), answer.key.encode()

    monkeypatch.setattr(renew, "ask", ask)


@pytest.mark.parametrize(("lifetime", "day"), [(90, 60), (45, 30), (6, 4), (0.5, 1 / 3)])
def test_a_certificate_is_due_at_two_thirds_of_its_lifetime(settings: Settings, lifetime: float, day: float) -> None:
    leaf = ROOT.leaf(SHOP, starts=0, ends=lifetime)
    store = serve(settings, leaf)
    due = NOW + dt.timedelta(days=day)
    assert abs(renewal(leaf.certificate.encode()) - due) <= dt.timedelta(seconds=1)
    assert reason(store, SHOP, URL, due - dt.timedelta(minutes=1)) == ""
    assert "two thirds" in reason(store, SHOP, URL, due + dt.timedelta(minutes=1))


def test_what_does_not_fit_any_more_is_due_at_once(settings: Settings) -> None:
    store = Store(settings.certificates, "shop")
    assert reason(store, SHOP, URL, NOW) == "there is none yet"
    serve(settings, ROOT.leaf(SHOP), name="placeholder-1")
    assert "did not come from an authority" in reason(store, SHOP, URL, NOW)
    serve(settings, ROOT.leaf(SHOP))
    assert reason(store, SHOP, URL, NOW) == ""
    assert reason(store, SHOP, "https://other.example.com/", NOW) == f"what is served came from {URL}"
    assert "is not for a.example.com" in reason(store, ["a.example.com"], URL, NOW)
    serve(settings, ROOT.leaf([*SHOP, "a.example.com"]), name="acme-2")
    assert reason(store, SHOP, URL, NOW) == "it is for shop.example.com, a.example.com"
    serve(settings, ROOT.leaf(SHOP), name="acme-3")
    store.key.chmod(0o640)
    assert "key" in reason(store, SHOP, URL, NOW)


def test_a_renewal_replaces_both_files_at_once_and_forgets_the_old_ones(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, new = serve(settings, ROOT.leaf(SHOP, starts=-80, ends=10)), ROOT.leaf(SHOP)
    authority(monkeypatch, new)
    assert "There is a new certificate" in renew.renew(settings, NOW)
    assert (store.certificate.read_text(), store.key.read_text()) == (new.certificate, new.key)
    assert store.key.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in store.path.iterdir()) == sorted(
        ["current", "fullchain.pem", "privkey.pem", store.serving()]
    )
    assert "Nothing to do" in renew.renew(settings, NOW)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (RefusedError("too many certificates already issued"), "too many certificates"),
        (ROOT.leaf(["other.example.com"]), "is not for shop.example.com"),
        (Leaf(ROOT.leaf(SHOP).certificate, ROOT.key), "does not belong"),
        (ROOT.leaf(SHOP, starts=-9, ends=-1), "ended on"),
    ],
)
def test_what_served_goes_on_serving_when_there_is_nothing_better(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, answer: Leaf | Exception, told: str
) -> None:
    old = ROOT.leaf(SHOP, starts=-80, ends=10)
    store = serve(settings, old)
    authority(monkeypatch, answer)
    with pytest.raises(RefusedError, match=told):
        renew.renew(settings, NOW)
    assert (store.certificate.read_text(), store.key.read_text()) == (old.certificate, old.key)


def test_an_operator_can_have_a_new_one_early(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    store, new = serve(settings, ROOT.leaf(SHOP)), ROOT.leaf(SHOP)
    authority(monkeypatch, new)
    mark = settings.state / "shop" / "renew"
    mark.parent.mkdir(parents=True)
    mark.touch()
    renew.renew(settings, NOW)
    assert store.certificate.read_text() == new.certificate
    assert not mark.exists()


def test_a_reload_that_failed_is_done_by_the_next_run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def fails(_: Settings, mark: Path) -> None:
        calls.append(mark.name)
        assert mark.exists()
        if len(calls) == 1:
            raise RefusedError("nginx does not reload")
        mark.unlink()

    authority(monkeypatch, ROOT.leaf(SHOP))
    monkeypatch.setattr(renew, "reload", fails)
    with pytest.raises(RefusedError, match="does not reload"):
        renew.renew(settings, NOW)
    assert "Nothing to do" in renew.renew(settings, NOW)
    assert calls == ["reload", "reload"]
    renew.renew(settings, NOW)
    assert calls == ["reload", "reload"]
