"""What no caller may do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from console.limits import MOST_BODY, Limits, Rates
from console.problems import Problem


def test_who_asks_too_often_waits() -> None:
    """A burst passes, then one request for each that the rate allows; others are not concerned."""
    rates = Rates()
    burst = sum(rates.take("ada", 0.0) == 0 for _ in range(1000))
    assert 100 <= burst < 1000
    assert rates.take("ada", 0.0) > 0
    assert rates.take("bob", 0.0) == 0
    assert rates.take("ada", 1.0) == 0


async def _ask(headers: list[tuple[bytes, bytes]], *messages: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    left = list(messages)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    async def receive() -> Any:
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await Limits(app)({"type": "http", "headers": headers, "client": ("127.0.0.1", 1)}, receive, send)
    return sent


async def test_body_that_says_it_is_too_large_is_not_read() -> None:
    """Nothing of it is taken from the wire."""
    sent = await _ask([(b"content-length", b"%d" % (MOST_BODY + 1))])
    assert sent[0]["status"] == 413


async def test_body_that_turns_out_too_large_ends() -> None:
    """A length that is not told is counted."""
    block = {"type": "http.request", "body": bytes(MOST_BODY // 2), "more_body": True}
    with pytest.raises(Problem) as problem:
        await _ask([], block, block, block)
    assert problem.value.status == 413


async def test_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who sends nothing more holds nothing up."""
    monkeypatch.setattr("console.limits._SILENT_S", 0.02)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        raise AssertionError(message)

    with pytest.raises(Problem) as problem:
        await Limits(app)({"type": "http", "headers": [], "client": ("127.0.0.1", 1)}, receive, send)
    assert problem.value.status == 408


async def test_body_that_comes_drop_by_drop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is as good as none."""
    monkeypatch.setattr("console.limits._SLOW_AFTER_S", 0.0)
    monkeypatch.setattr("console.limits._SLOWEST", 10**12)
    drop = {"type": "http.request", "body": b".", "more_body": True}
    with pytest.raises(Problem) as problem:
        await _ask([], *[drop] * 1000)
    assert problem.value.status == 408
