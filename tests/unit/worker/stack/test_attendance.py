from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from worker.stack.attendance import Attendance, Client


class Line:
    """What a command would read."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.closed = False

    def is_closing(self) -> bool:
        return self.closed

    def write(self, line: bytes) -> None:
        self.said.append(json.loads(line))

    def close(self) -> None:
        self.closed = True


def _make(pid: int, *, needs_worker: bool = False, has_worker: bool = False) -> Client:
    return Client(pid, cast(asyncio.StreamWriter, Line()), needs_worker, has_worker)


def _said(client: Client) -> list[dict[str, Any]]:
    return cast(Line, client.writer).said


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_stack_is_kept_for_a_grace_after_the_last_command() -> None:
    """While somebody is here it has no end; then the grace counts from the last one's going."""
    clock = Clock()
    books = Attendance(clock, 10.0)
    first, second = _make(1), _make(2)
    books.enter(first)
    books.enter(second)
    clock.now = 200.0
    books.leave(first)
    assert books.free_at == float("inf")
    clock.now = 300.0
    books.leave(second)
    assert books.free_at == 310.0


def test_the_worker_goes_before_the_stack_where_only_a_servers_user_is_left() -> None:
    """Its grace counts from the last one who needed it, whoever else stays or goes."""
    clock = Clock()
    books = Attendance(clock, 10.0)
    sender, looker = _make(1, needs_worker=True), _make(2)
    books.enter(sender)
    books.enter(looker)
    assert books.needs_worker
    assert books.worker_free_at == float("inf")
    clock.now = 200.0
    books.leave(sender)
    clock.now = 205.0
    books.leave(looker)
    assert (books.worker_free_at, books.free_at) == (210.0, 215.0)


def test_a_new_stack_waits_for_the_command_that_started_it() -> None:
    """However short the grace is."""
    assert Attendance(Clock(), 0.1, 5.0).free_at == 105.0
    assert Attendance(Clock(), 10.0, 5.0).free_at == 110.0


def test_only_those_who_use_the_running_worker_stand_in_the_way_of_another() -> None:
    """A command that waits for a worker, or needs none, does not; nor does the one who asks."""
    books = Attendance(Clock(), 10.0)
    asking = _make(5, needs_worker=True, has_worker=True)
    for client in (_make(9, has_worker=True), asking, _make(1, needs_worker=True), _make(3, has_worker=True)):
        books.enter(client)
    assert books.find_users(besides=asking) == [3, 9]
    assert books.find_users() == [3, 5, 9]
    assert books.pids == [1, 3, 5, 9]


def test_a_workers_trouble_is_told_to_those_whom_it_concerns() -> None:
    """The server's concerns everybody; nobody who has gone is written to."""
    books = Attendance(Clock(), 10.0)
    sender, looker, gone = _make(1, needs_worker=True), _make(2), _make(3, needs_worker=True)
    for client in (sender, looker, gone):
        books.enter(client)
    gone.writer.close()
    books.tell_those_who_need_the_worker("w")
    books.tell_all("s")
    assert _said(sender) == [{"notice": "w"}, {"notice": "s"}]
    assert _said(looker) == [{"notice": "s"}]
    assert _said(gone) == []
