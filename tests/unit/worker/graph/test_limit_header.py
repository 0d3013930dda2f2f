from __future__ import annotations

from worker.graph.limit_header import Begun


def test_what_left_since_weighs_as_many_rows_as_its_writes_are_worth() -> None:
    """One write for each profile; where twenty rows share a write, each write is twenty rows."""
    begun = Begun()
    mine = begun.add("app", 20)
    begun.add("app", 3)
    begun.add("another", 100)
    assert begun.since("app", mine) == 3
    assert begun.since("app", mine, 1 / 20) == 60
