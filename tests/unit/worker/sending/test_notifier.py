from dataclasses import replace

from tests.unit.cli.follow.test_when_to_stop import NOW, STAGES, VIEW
from worker.ledger.model import Counts, JobState
from worker.sending.notifier import next_event


def test_whoever_is_told_of_a_job_is_told_of_its_stages() -> None:
    """By the counts that --json has; a job without stages is told of as it was."""
    ended = replace(VIEW, state=JobState.DONE, finished_at=NOW, counts=Counts(rows=40, done=40))
    event, mark = next_event(replace(ended, stages=STAGES), "", 1_000)
    assert event
    assert (event["type"], event["invited"]) == ("job.ended", 40)
    assert event["stages"]["groups"]["failed"] == 2
    assert next_event(ended, mark, 2_000) == (None, mark)
    plain, _ = next_event(ended, "", 1_000)
    assert plain
    assert "stages" not in plain
