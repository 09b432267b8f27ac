"""What is told of certbot, which is not run here: the authority's words, whichever way it let them be known."""

from __future__ import annotations

from pathlib import Path

import authority
import pytest
from settings import Settings

LIMITED = "urn:ietf:params:acme:error:rateLimited :: There were too many requests :: too many certificates (5)"
STALE = authority.RefusedError("urn:ietf:params:acme:error:badNonce :: stale")


def reason(tmp_path: Path, said: str, log: str = "") -> str:
    (tmp_path / "letsencrypt.log").write_text(log)
    return authority._reason(said, tmp_path)


def test_what_certbot_says_is_told_without_its_own_advice(tmp_path: Path) -> None:
    said = "Saving debug log to /x\nRequesting a certificate for a\n  Detail: no route\nSee the logfile /x"
    assert reason(tmp_path, said) == "  Detail: no route"


def test_what_certbot_keeps_to_its_log_is_told_too(tmp_path: Path) -> None:
    said = "An unexpected error occurred:\nAttributeError: can't set attribute\n"
    assert reason(tmp_path, said, f"x\nacme.messages.Error: {LIMITED}\ny\n") == LIMITED
    assert reason(tmp_path, said) == said.strip()


def test_what_was_said_is_not_told_twice(tmp_path: Path) -> None:
    said = "Error creating new order :: too many certificates (5)"
    assert reason(tmp_path, said, f"acme.messages.Error: {LIMITED}\n") == said


@pytest.mark.parametrize(("failures", "well"), [(1, True), (2, True), (3, False)])
def test_a_stale_nonce_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failures: int, well: bool
) -> None:
    settings = Settings("shop", ["a"], "https://a", "", "", tmp_path, tmp_path, tmp_path, "")
    answers: list[tuple[bytes, bytes] | Exception] = [*[STALE] * failures, (b"chain", b"key")]

    def ask(_: Settings) -> tuple[bytes, bytes]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(authority, "_ask", ask)
    if well:
        assert authority.ask(settings) == (b"chain", b"key")
    else:
        with pytest.raises(authority.RefusedError, match="badNonce"):
            authority.ask(settings)


def test_any_other_refusal_is_final(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings("shop", ["a"], "https://a", "", "", tmp_path, tmp_path, tmp_path, "")
    asked: list[int] = []

    def ask(_: Settings) -> tuple[bytes, bytes]:
        asked.append(1)
        raise authority.RefusedError(LIMITED)

    monkeypatch.setattr(authority, "_ask", ask)
    with pytest.raises(authority.RefusedError, match="too many"):
        authority.ask(settings)
    assert asked == [1]
