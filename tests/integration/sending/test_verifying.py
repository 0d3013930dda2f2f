"""`usher jobs verify` judges rows by their own job's operation, and passes over what may be done
again.
"""

from __future__ import annotations

import pytest

from tests.clocked import Clocked
from tests.integration.operations.test_second_operation import Company
from worker.ledger.model import Counts, Options, Outcome, RowState
from worker.operations.operation import Asked, Attempt
from worker.operations.registry import OPERATIONS
from worker.sending.verifier import verify

pytestmark = pytest.mark.sandbox(latency="0", replication="0")

THERE, NEW = "there@partner.example", "new@partner.example"


class Welcome(Company):
    """Something that must not be done twice, and that shows in the directory."""

    name = "welcome"
    repeatable = False

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """Whoever is there was welcomed."""
        return asked.ended(RowState.DONE) if asked.user else None


class Letter(Welcome):
    """Something that must not be done twice, and that no directory shows."""

    name = "letter"
    shown = False


@pytest.fixture(autouse=True)
def operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process know them."""
    for operation in (Company(), Welcome(), Letter()):
        monkeypatch.setitem(OPERATIONS, operation.name, operation)


async def add(clocked: Clocked) -> None:
    """Let a guest be there whom nobody of ours invited."""
    clocked.site.sandbox.ask("users", {"action": "add", "email": THERE, "state": "Accepted"})


async def test_what_may_be_done_again_is_passed_over(clocked: Clocked) -> None:
    """Its channel is no connection that nobody knows: beside it invitations are looked up."""
    await add(clocked)
    await clocked.site.load([THERE, NEW])
    company = await clocked.site.load([THERE, NEW], operation="company")
    done = await verify(clocked.services)
    (verified,) = done.connections
    assert (verified.connection, verified.complete, verified.obstacles) == ("contoso", True, {})
    assert (verified.rows, len(verified.jobs), verified.ended, verified.absent) == (2, 1, {"already_guest": 1}, 1)
    assert (await clocked.site.view(company)).counts == Counts(rows=2, pending=2)


async def test_what_no_directory_shows_is_passed_over_where_nothing_was_restored(clocked: Clocked) -> None:
    """The ledger knows what was sent of it."""
    job = await clocked.site.load([THERE, NEW], operation="letter")
    assert (await verify(clocked.services)).connections == ()
    assert (await clocked.site.view(job)).counts == Counts(rows=2, pending=2)


async def test_a_row_is_judged_by_its_own_operation(clocked: Clocked) -> None:
    """Whom an invitation would call a guest of before was welcomed, and it is told so."""
    await add(clocked)
    job = await clocked.site.load([THERE, NEW], operation="welcome")
    (verified,) = (await verify(clocked.services)).connections
    assert (verified.connection, verified.rows, verified.ended, verified.absent) == ("contoso", 2, {"done": 1}, 1)
    assert (await clocked.site.view(job)).counts == Counts(rows=2, done=1, pending=1)


async def test_what_no_directory_shows_of_a_job_is_an_obstacle(clocked: Clocked) -> None:
    """Such rows are not looked up, none is taken for absent, and it is said why."""
    await add(clocked)
    job = await clocked.site.load([THERE, NEW], options=Options(resend=True))
    (verified,) = (await verify(clocked.services)).connections
    ((said, rows),) = verified.obstacles.items()
    assert said.startswith("a job of it mails people again on purpose (--resend)")
    assert (rows, verified.absent, dict(verified.ended)) == (2, 0, {})
    assert (await clocked.site.view(job)).counts == Counts(rows=2, pending=2)


async def test_an_operation_that_nobody_here_knows_is_an_obstacle(
    clocked: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer usher's job is left alone, with a sentence."""
    await clocked.site.load([NEW], operation="welcome")
    monkeypatch.delitem(OPERATIONS, "welcome")
    (verified,) = (await verify(clocked.services)).connections
    assert verified.obstacles == {
        "this usher does not know the operation welcome; a newer one made the job, so it cannot look": 1
    }
