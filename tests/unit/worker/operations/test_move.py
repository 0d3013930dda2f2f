"""A guest's address is written first and the guest reset afterwards, whatever happens between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.configs import build_connection
from tests.standins import answered
from tests.unit.worker.operations.asking import Asking, Noting, found
from worker.graph.batch import Fate, GraphAnswer
from worker.graph.causes import HoldKind, Kind
from worker.graph.users import DirectoryUser
from worker.ledger.model import Options, Outcome, RowState
from worker.operations.changes.move import Move
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.mail import write_mail
from worker.operations.operation import Asked, Attempt
from worker.operations.tenant_rules import TenantRules

MOVE = Move()
CONNECTION = build_connection()
OLD, NEW = "ann@old.example", "Ann@new.example"
ROW = {"email": OLD, "new_email": NEW}
GUEST = "11111111-1111-1111-1111-111111111111"
LONG_AGO = "2020-01-01T00:00:00Z"


class Notes(Noting):
    """Remembers who is on the move."""

    def __init__(self, *ids: str) -> None:
        super().__init__()
        self._at = datetime(2026, 6, 1, tzinfo=UTC)
        self._ids = ids

    async def note(self, tenant_key: str, ids: Any, now: Any = None) -> None:  # type: ignore[override]
        """Note some guests."""
        self.noted += ids

    async def read(self, tenant_key: str, ids: Any) -> dict[str, datetime]:
        """Return those noted before."""
        return {one: self._at for one in ids if one in self._ids}


def user(mail: str = OLD, *, since: str = LONG_AGO, others: tuple[str, ...] = (OLD,), accepted: bool = True) -> Any:
    """Return the guest as the look-up shows them."""
    more = {"mail": mail, "otherMails": list(others), "externalUserStateChangeDateTime": since}
    return DirectoryUser(GUEST, None, False, True, pending=not accepted, accepted=accepted, more=more)


def moved(**more: Any) -> DirectoryUser:
    """Return the guest with the new address."""
    there: DirectoryUser = user(NEW.lower(), others=(NEW, OLD), **more)
    return there


def asking(*ids: str, holder: str = "") -> Asking:
    """Return somebody who asks a tenant in which the new address belongs to `holder`."""
    ask = Asking(lambda request: found(*([{"id": holder, "mail": NEW}] if holder else [])))
    ask.moving = Notes(*ids)
    return ask


async def compare(ask: Asking, asked: Asked, connection: Any = CONNECTION) -> Outcome | None:
    """Return how a row ends before it is sent, None where it leaves."""
    outcome = (await MOVE.compare(ask, [asked], connection, Options())).get(0)
    assert outcome is None or isinstance(outcome, Outcome)
    return outcome


def test_the_address_goes_first_and_the_reset_after_it() -> None:
    """What the directory shows says which is next; the old address stays one of the guest's."""
    (write,) = MOVE.build([Asked(0, ROW, user(others=(OLD, "a@private.example")))], CONNECTION, Options())
    assert (write.request.method, write.request.path) == ("PATCH", f"/users/{GUEST}")
    assert write.request.body == {"mail": NEW, "otherMails": [NEW, OLD, "a@private.example"]}
    (reset,) = MOVE.build([Asked(0, ROW, moved(), tried=1)], CONNECTION, Options())
    body = reset.request.body or {}
    assert (reset.request.method, reset.request.path) == ("POST", "/invitations")
    assert (body["invitedUserEmailAddress"], body["invitedUser"], body["resetRedemption"]) == (NEW, {"id": GUEST}, True)
    assert body["sendInvitationMessage"] is True


async def test_a_guest_is_noted_before_the_address_is_written() -> None:
    """And forgotten once reset, or where the address was refused; not where the reset was."""
    ask = asking()
    assert await compare(ask, Asked(0, ROW, user())) is None
    assert ask.moving.noted == [GUEST]
    await MOVE.take_back(ask, [Asked(0, ROW, moved())], CONNECTION)
    assert ask.moving.dropped == []
    await MOVE.take_back(ask, [Asked(0, ROW, user())], CONNECTION)
    await MOVE.remember(ask, [Asked(0, ROW, moved())], CONNECTION)
    assert ask.moving.dropped == [GUEST, GUEST]


async def test_whoever_was_moved_before_is_not_reset_again() -> None:
    """Unless usher wrote the address, in this job or one that was not finished: then the reset is
    still to come. Who is pending or has accepted since then was reset; with a mail of usher's own
    once more, for its link.
    """
    since = (datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=1)).isoformat()
    for ask, asked, ends in (
        (asking(), Asked(0, ROW, moved()), "moved_before"),
        (asking(), Asked(0, ROW, moved(), tried=1), "moved_before"),
        (asking(GUEST), Asked(0, ROW, moved()), ""),
        (asking(GUEST), Asked(0, ROW, moved(since=since)), "moved_before"),
        (asking(GUEST), Asked(0, ROW, moved(since=since, accepted=False)), "moved_before"),
    ):
        outcome = await compare(ask, asked)
        assert (outcome.code if outcome else "") == ends
        assert outcome is None or outcome.letter is RowState.SKIPPED
    again = await MOVE.compare(
        asking(GUEST), [Asked(0, ROW, moved(since=since), tried=1)], CONNECTION, Options(template="invite")
    )
    assert again == {}


async def test_an_address_that_cannot_be_theirs_ends_the_row_unsent() -> None:
    """It is somebody else's, or of a domain that the connection does not allow."""
    ask = asking(holder="22222222-2222-2222-2222-222222222222")
    outcome = await compare(ask, Asked(0, ROW, user()))
    assert outcome
    assert (outcome.letter, outcome.code, ask.moving.noted) == (RowState.FAILED, "address_in_use", [])
    assert await compare(asking(holder=GUEST), Asked(0, ROW, user())) is None
    outcome = await compare(asking(), Asked(0, ROW, user()), build_connection(allowed_domains=["old.example"]))
    assert outcome
    assert (outcome.letter, outcome.code) == (RowState.FAILED, "blocked_domain")


def judge(there: DirectoryUser, answer: GraphAnswer, tried: int = 0) -> Any:
    """Judge the answer to the request that is next."""
    asked = Asked(0, ROW, there, tried=tried)
    (call,) = MOVE.build([asked], CONNECTION, Options())
    return MOVE.judge(asked, call, answer)


@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (answered(204), Kind.LATER, "address_written"),
        (GraphAnswer(Fate.LOST), Kind.RETRY, "in_doubt"),
        (answered(504, "UnknownError", ""), Kind.RETRY, "in_doubt"),
        (
            answered(400, "Request_BadRequest", "Another object with the same value for property proxyAddresses …"),
            Kind.FAILED,
            "address_in_use",
        ),
        (answered(400, "Request_BadRequest", "… on-premises mastered Directory Sync …"), Kind.FAILED, "synced_user"),
        (answered(404, "Request_ResourceNotFound", "Resource does not exist."), Kind.FAILED, "not_there"),
        (answered(403, "Authorization_RequestDenied", "Insufficient privileges …"), Kind.HOLD, "no_permission"),
        (answered(429, "TooManyRequests", "Slow down."), Kind.THROTTLED, "throttled"),
    ],
)
def test_what_graph_says_of_the_address(answer: GraphAnswer, kind: Kind, cause: str) -> None:
    """A written one is waited for; a lost answer is no doubt, for nobody was reset by it."""
    verdict = judge(user(), answer)
    assert (verdict.kind, verdict.cause) == (kind, cause)
    assert "{" not in verdict.message
    assert (verdict.hold is HoldKind.PERMISSION) is (kind is Kind.HOLD)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (answered(403, "Forbidden", "Guest invitations not allowed for your company."), "not_this_guest"),
        (answered(403, "Forbidden", "Generic authorization exception."), "not_this_guest"),
        (answered(400, "BadRequest", "The email doesn't match any emails on the user object."), "address_not_theirs"),
    ],
)
def test_a_refused_reset_says_that_the_address_is_written(answer: GraphAnswer, cause: str) -> None:
    """It ends the row and holds no connection."""
    verdict = judge(moved(), answer, tried=1)
    assert (verdict.kind, verdict.cause, verdict.hold) == (Kind.FAILED, cause, None)
    assert verdict.message.startswith("The guest has the new address now")


def test_after_a_lost_answer_the_directory_shows_what_was_done() -> None:
    """Who has the old address still was not reset, for sure; who is pending since then was."""
    attempt = Attempt(datetime(2026, 6, 1, tzinfo=UTC).timestamp(), Outcome(0, RowState.DONE))
    since = "2026-06-01T00:00:30Z"

    def seen(there: DirectoryUser) -> Outcome | None:
        return MOVE.judge_seen(Asked(0, ROW, there), Options(), attempt)

    assert seen(user(since=since, accepted=False)) is None
    done = seen(moved(since=since, accepted=False))
    assert done
    assert done.letter is RowState.DONE
    assert seen(moved()) is None
    for there, letter in (
        (user(accepted=False), RowState.PENDING),
        (moved(accepted=False), RowState.LEFT_IN_DOUBT),
        (moved(), RowState.PENDING),
    ):
        assert MOVE.resolve_unshown(ROW, there, CONNECTION, looked=True) is letter


def test_a_dry_run_skips_who_was_moved() -> None:
    """Others are to be done."""
    for there, would in ((user(), Would.DO), (moved(), Would.SKIP)):
        foreseen = MOVE.foresee(ROW, OLD, Seen(user=there), TenantRules())
        assert isinstance(foreseen, Foreseen)
        assert foreseen.would is would


def test_an_own_mail_goes_to_the_new_address() -> None:
    """Where usher mails guests itself."""
    mail = write_mail(Asked(0, ROW | {"new": True}, redeem_url="https://x.example/r"), CONNECTION, Options())
    assert mail.to == NEW
