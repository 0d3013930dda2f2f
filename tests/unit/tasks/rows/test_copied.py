from dataclasses import replace

from tasks.rows.copied import options_again
from tests.unit.cli.follow.test_when_to_stop import VIEW
from worker.ledger.model import Counts, Options

RESENT = replace(VIEW, options=Options(resend=True, language="de-DE"))


def test_nobody_is_mailed_anew_for_a_stage_that_failed() -> None:
    """Not even in a job that mailed again; where rows failed themselves they go as they went."""
    done = Counts(rows=2, done=2)
    groups = {"groups": Counts(rows=2, done=1, failed=1)}
    assert options_again(replace(RESENT, counts=done, stages=groups)) == Options(language="de-DE")
    failed = Counts(rows=2, done=1, failed=1)
    assert options_again(replace(RESENT, counts=failed, stages=groups)) == RESENT.options


def test_a_mail_that_failed_needs_a_new_link() -> None:
    """Which only another invitation has; in doubt it stays, and nobody mails it again."""
    done = replace(VIEW, counts=Counts(rows=2, done=2))
    assert options_again(replace(done, stages={"mail": Counts(rows=2, done=1, failed=1)})).resend
    assert not options_again(replace(done, stages={"mail": Counts(rows=2, done=1, in_doubt=1)})).resend
