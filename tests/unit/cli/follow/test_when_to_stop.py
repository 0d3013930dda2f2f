"""When a command that follows a job goes on and when it stops; nothing but values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cli.follow.follow import Followed
from cli.follow.progress import progress_line
from cli.follow.report import how_to_go_on, troubles
from cli.follow.when_to_stop import DRAIN_S, OUTAGE_S, End, Follower, exit_status
from tasks.telling import waiting
from tasks.telling.waiting import waiting_words
from worker.ledger.gates import Gate, HoldReason
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts, JobState, Lane, Options
from worker.ledger.quota import Bucket

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
VIEW = JobView(
    id="k7m2aaaaaa",
    connection="contoso",
    lane=Lane.BULK,
    state=JobState.RUNNING,
    why="",
    counts=Counts(rows=100, done=40, pending=60),
    chunks=1,
    open=0,
    created_at=NOW,
    finished_at=None,
    options=Options(),
    info={},
    gate=Gate(),
)


def test_the_time_left_is_no_shorter_than_the_quota_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full bucket lets 150 rows through in the first second; the other 5,850 take 195 s at 30 a
    second, whatever was seen so far.
    """
    quota = {"invite": (Bucket("invitations", 150, 5000), Bucket("writes", 3000, 150_000))}
    view = replace(VIEW, counts=Counts(rows=6000, done=150, pending=5850))
    monkeypatch.setattr(waiting, "utc_now", lambda: NOW + timedelta(seconds=1))
    assert waiting.left_s(view, 150.0) == 39
    assert waiting.left_s(view, 150.0, quota) == 194
    assert waiting.left_s(view, 10.0, quota) == 585
    assert waiting.left_s(replace(view, state=JobState.PAUSED), 10.0, quota) is None
    assert progress_line(view, 150.0, quota).endswith("150 a second, 3 min 14 s left")
    staged = replace(view, stages={"profile": Counts(rows=6000, pending=6000)})
    shared = {name: (Bucket("writes", 3000, 150_000),) for name in ("invite", "profile")}
    assert waiting.left_s(staged, 150.0, shared) == 449, "a write for the row and one for its stage"


STAGES = {
    "profile": Counts(rows=30, done=30),
    "groups": Counts(rows=40, done=20, already=10, failed=2, pending=8),
}


def test_a_stage_that_goes_on_is_followed_and_told() -> None:
    """The job moves while its stages do, though all its rows have ended; a stage that failed is no
    good end.
    """
    ended = replace(VIEW, counts=Counts(rows=40, done=40), stages=STAGES)
    follower = Follower(10.0)
    assert follower.see(ended, 0.0) is None
    further = replace(ended, stages={**STAGES, "groups": Counts(rows=40, done=21, already=10, failed=2, pending=7)})
    assert follower.see(further, 9.0) is None
    assert follower.see(further, 18.0) is None
    assert follower.see(further, 19.0) is End.STUCK
    assert (
        progress_line(ended, 0.0)
        == "k7m2aaaaaa: 40 of 40 rows (40 invited), profile 30 of 30, groups 32 of 40 (2 failed)"
    )
    ((sentence, _),) = how_to_go_on(Followed(End.STUCK, ended), ended, runs_on=True)
    assert "groups of 8 rows left" in sentence
    assert exit_status(End.ENDED, ended.adds_up("failed"), ended.adds_up("in_doubt")) == 1


def test_programs_read_the_stages_beside_the_rows() -> None:
    """Every count by its fixed name; a job without stages is told as it was."""
    assert "stages" not in VIEW.told()
    assert replace(VIEW, stages=STAGES).told()["stages"]["groups"] == {
        "rows": 40,
        "done": 20,
        "already": 10,
        "skipped": 0,
        "failed": 2,
        "in_doubt": 0,
        "pending": 8,
        "cancelled": 0,
    }


def test_a_row_is_troubled_by_each_stage_that_failed() -> None:
    """What the stage said comes behind its name."""
    record = {"status": "invited", "error_message": "", "error_code": ""}
    record |= {"groups_status": "failed", "groups_error": "It is full.", "teams_status": "in_doubt", "teams_error": ""}
    assert troubles(record, ("groups", "teams")) == [("failed", "groups: It is full."), ("in_doubt", "teams: in doubt")]
    assert troubles({**record, "groups_status": "done"}, ("groups",)) == []


def held(kind: HoldReason) -> JobView:
    """The job as its connection's hold shows it."""
    gate = Gate(True, kind, "Somebody has to act.", NOW)
    return replace(VIEW, state=JobState.HELD, why=gate.why, gate=gate)


def test_a_running_job_is_followed() -> None:
    """Nothing but its end, a hold or a pause stops it."""
    follower = Follower(None)
    assert [follower.see(VIEW, now_s) for now_s in (0.0, 1000.0, 100_000.0)] == [None, None, None]


def test_a_job_that_ended_ends_it() -> None:
    """Done and cancelled are told apart; a cancelled one is waited for while rows are on the
    wire.
    """
    done = replace(VIEW, state=JobState.DONE, finished_at=NOW)
    assert Follower(None).see(done, 0.0) is End.ENDED
    follower = Follower(None)
    assert follower.see(replace(VIEW, state=JobState.CANCELLED, open=3), 0.0) is None
    assert follower.see(replace(VIEW, state=JobState.CANCELLED, finished_at=NOW), 1.0) is End.CANCELLED
    assert Follower(None).see(None, 0.0) is End.DELETED


def test_a_pause_waits_for_what_is_on_the_wire_but_not_for_ever() -> None:
    """The batch in flight is counted before the command leaves; rows in doubt do not keep it."""
    paused = replace(VIEW, state=JobState.PAUSED, why="stopped by Ctrl-C", open=7)
    follower = Follower(None)
    assert follower.see(paused, 10.0) is None
    assert follower.see(replace(paused, open=0), 11.0) is End.PAUSED
    follower = Follower(None)
    assert follower.see(paused, 10.0) is None
    assert follower.see(paused, 10.0 + DRAIN_S) is End.PAUSED
    assert Follower(None).see(replace(paused, why="pilot", open=0), 0.0) is End.PILOT


@pytest.mark.parametrize("kind", [HoldReason.ABUSE, HoldReason.OPERATOR])
def test_a_hold_that_only_a_person_lifts_returns_within_ten_seconds(kind: HoldReason) -> None:
    """Even while rows are still on the wire."""
    assert Follower(None).see(held(kind), 0.0) is End.HELD
    follower = Follower(None)
    assert follower.see(replace(held(kind), open=5), 0.0) is None
    assert follower.see(replace(held(kind), open=5), 9.0) is End.HELD


def test_a_run_of_failures_is_held_for_a_person_too() -> None:
    """A job's own hold has no gate that a try could open."""
    assert Follower(None).see(replace(VIEW, state=JobState.HELD, why="Ten rows failed in a row."), 0.0) is End.HELD
    both = replace(held(HoldReason.CREDENTIAL), why="Ten rows failed in a row.")
    assert Follower(None).see(both, 0.0) is End.HELD, "the gate's own hold may end by itself, the job's does not"
    [(told, command)] = how_to_go_on(Followed(End.HELD, both), both, runs_on=True)
    assert "Ten rows failed in a row." in told
    assert command == f"usher jobs resume {both.id}"


@pytest.mark.parametrize(
    "kind", [HoldReason.CREDENTIAL, HoldReason.PERMISSION, HoldReason.TENANT, HoldReason.DAILY_LIMIT]
)
def test_a_hold_that_may_end_by_itself_is_waited_out(kind: HoldReason) -> None:
    """Up to --wait, counted from when it began; for ever where somebody watches."""
    follower = Follower(900.0)
    assert follower.see(held(kind), 0.0) is None
    assert follower.see(held(kind), 899.0) is None
    assert follower.see(VIEW, 899.5) is None, "it opened"
    assert follower.see(held(kind), 1000.0) is None, "a new hold is waited for anew"
    assert follower.see(held(kind), 1900.0) is End.HELD
    patient = Follower(None)
    assert patient.see(held(kind), 0.0) is None
    assert patient.see(held(kind), 1e6) is None


def test_a_lost_redis_is_outlived_for_two_minutes() -> None:
    """Counted from the first silence; an answer in between starts anew."""
    follower = Follower(None)
    assert follower.see_nothing(0.0) is None
    assert follower.see_nothing(OUTAGE_S - 1) is None
    assert follower.see(VIEW, OUTAGE_S - 0.5) is None
    assert follower.see_nothing(OUTAGE_S) is None
    assert follower.see_nothing(2 * OUTAGE_S) is End.LOST


def test_no_worker_is_said_after_ten_seconds() -> None:
    """Not before, and not any more once one is there."""
    follower = Follower(None)
    assert [follower.see_workers(0, now_s) for now_s in (0.0, 9.0, 10.0)] == [False, False, True]
    assert not follower.see_workers(1, 11.0)
    assert not follower.see_workers(0, 12.0)


def test_nobody_waits_for_ever_where_nobody_watches() -> None:
    """Without any row ending for --wait the command returns; rows on the wire or a throttled tenant
    are something happening.
    """
    follower = Follower(60.0)
    assert follower.see(VIEW, 0.0) is None
    assert follower.see(replace(VIEW, counts=Counts(rows=100, done=41, pending=59)), 59.0) is None
    later = replace(VIEW, counts=Counts(rows=100, done=41, pending=59))
    assert follower.see(replace(later, gate=Gate(closed_until=NOW)), 110.0) is None
    assert follower.see(later, 169.0) is None
    assert follower.see(later, 170.0) is End.STUCK


def test_the_rate_is_of_late() -> None:
    """Rows ended over the last twenty seconds."""
    follower = Follower(None)
    for second in range(60):
        counts = Counts(rows=10_000, done=100 * min(second, 30), pending=10_000 - 100 * min(second, 30))
        follower.see(replace(VIEW, counts=counts), float(second))
    assert follower.rate == 0.0
    assert Follower(None).rate == 0.0


@pytest.mark.parametrize(
    ("end", "counts", "status"),
    [
        (End.ENDED, (0, 0, 0), 0),
        (End.ENDED, (1, 0, 0), 1),
        (End.ENDED, (0, 1, 0), 1),
        (End.CANCELLED, (0, 0, 5), 1),
        (End.CANCELLED, (0, 0, 0), 0),
        *((end, (0, 0, 0), 3) for end in End if end not in (End.ENDED, End.CANCELLED)),
    ],
)
def test_exit_status(end: End, counts: tuple[int, int, int], status: int) -> None:
    """0 every row ended well, 1 some did not, 3 anything that is not at its end."""
    assert exit_status(end, *counts) == status


@pytest.mark.parametrize("end", [end for end in End if end not in (End.ENDED, End.CANCELLED, End.DELETED)])
def test_whatever_is_not_at_its_end_says_how_to_go_on(end: End) -> None:
    """Each names a command that exists, with the job's id; a stop says what went out."""
    told = how_to_go_on(Followed(end, VIEW, by="Ctrl-C"), VIEW, runs_on=False)
    assert any(command.split()[:2] == ["usher", "jobs"] and VIEW.id in command for _, command in told)
    if end is End.PAUSED:
        assert told[0][0].startswith("Stopped by Ctrl-C: 40 invitations went out, 60 rows left.")


def test_a_line_of_a_log_says_where_the_job_is() -> None:
    """Counts, rate and time left, each only where it is known."""
    assert progress_line(VIEW, 0.0) == "k7m2aaaaaa: 40 of 100 rows (40 invited)"
    assert progress_line(VIEW, 20.0) == "k7m2aaaaaa: 40 of 100 rows (40 invited), 20 a second, 3 s left"
    assert "12 a minute" in progress_line(VIEW, 0.2)


def test_what_it_waits_for_is_in_words() -> None:
    """A hold's sentence and the next try; a pause while rows are on the wire; nothing while it
    runs.
    """
    assert waiting_words(VIEW) == ""
    assert waiting_words(held(HoldReason.ABUSE)) == "Somebody has to act."
    soon = Gate(True, HoldReason.PERMISSION, "Grant it.", NOW, datetime.now(UTC) + timedelta(seconds=30))
    assert waiting_words(replace(VIEW, state=JobState.HELD, gate=soon)).startswith("Grant it. Next try in ")
    assert waiting_words(replace(VIEW, state=JobState.PAUSED, open=2)).startswith("Pausing")
    waits = {"groups": "waits until the directory knows the guest"}
    assert waiting_words(replace(VIEW, stage_waits=waits)) == "Stage groups: waits until the directory knows the guest"


def test_a_job_that_is_stuck_says_what_its_connection_waits_for() -> None:
    """A tenant that cannot be reached is not only a wait that is over."""
    stuck = replace(VIEW, gate=Gate(trouble="login.example cannot be reached."))
    [(told, _)] = how_to_go_on(Followed(End.STUCK, stuck), stuck, runs_on=False)
    assert "login.example cannot be reached. To go on:" in told
