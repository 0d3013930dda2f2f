"""How a schedule over several connections is told as a whole."""

from __future__ import annotations

from tasks.telling.rounds import choose_runs, find_standing
from worker.ledger.timetable import Latest, ScheduledRun


def test_the_whole_is_told_by_how_the_last_run_of_each_stands() -> None:
    """Of the connections of now; the worst counts, and those in trouble come first."""
    latest = {"a": Latest(5, "ok"), "b": Latest(7, "attention"), "c": Latest(6, "failed"), "gone": Latest(9, "failed")}
    standing = find_standing(["a", "b", "c", "d"], latest)
    assert str(standing) == "4 connections: 1 ok, 1 needs attention, 1 failed, 1 not run yet"
    assert (standing.worst, standing.troubled, standing.newest_ms) == ("failed", ["c", "b"], 7)
    assert find_standing(["a", "b"], latest, since_ms=6).counts == {
        "all": 2,
        "ok": 0,
        "attention": 1,
        "failed": 0,
        "running": 0,
        "never": 1,
    }
    latest["d"] = Latest(4, "attention")
    assert str(find_standing(["b", "d"], latest)) == "2 connections: 2 need attention"
    assert str(find_standing([], latest)) == "no connection now"


def test_the_last_run_of_each_comes_before_any_earlier_one() -> None:
    """Also where others have had their turn of tonight already, and it has not."""
    dues = [("a", 9), ("b", 8), ("a", 7), ("b", 6), ("late", 5)]
    runs = [ScheduledRun(due, "beat", due, due, "ok", connection=name) for name, due in dues]
    assert [(run.connection, run.due_ms) for run in choose_runs(runs, 3)] == [("a", 9), ("b", 8), ("late", 5)]
    assert [run.due_ms for run in choose_runs(runs, 4)] == [9, 8, 7, 5]
