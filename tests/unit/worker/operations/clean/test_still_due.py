"""Guests are looked at again just before something is done to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from tests.configs import build_connection
from tests.unit.worker.operations.asking import Asking, found
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.users import DirectoryUser
from worker.ledger.guests.reminders import Reminded
from worker.ledger.model import KnownRow, Options, Outcome, RowState
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.clean.policy import Spared
from worker.operations.clean.still_due import Clean
from worker.operations.operation import THEN, Asked, CannotAsk, Look
from worker.operations.registry import OPERATIONS
from worker.operations.row_fields import BECAUSE, SEEN

NOW = Asking.now
OPERATION = Clean()
CONNECTION = build_connection(
    clean={
        "remind_after": "7d",
        "disable_pending_after": "30d",
        "disable_inactive_after": "90d",
        "disable_expired": True,
        "delete_disabled_after": "30d",
        "spare_domains": ["spared.example"],
    }
)


class Memory:
    """Remembers what a test says, of rows and ids."""

    def __init__(self, *, reminded: dict[int, Reminded], disabled: dict[str, datetime]) -> None:
        self.reminded, self.disabled = reminded, disabled

    async def read(self, tenant_key: str, whom: Any) -> Any:
        """Return it, for whoever is asked for."""
        return (
            self.reminded
            if isinstance(whom, dict)
            else {one: self.disabled[one] for one in whom if one in self.disabled}
        )


def text(days: float) -> str:
    """So many days before now, as Graph tells it."""
    return (NOW - timedelta(days=days)).isoformat()


def row_of(index: int, then: str, because: str, seen: float | None = None, **user: Any) -> Asked:
    """A row for a guest whom the look-up found: accepted a year ago, unless told otherwise."""
    more = {
        "mail": f"g{index}@partner.example",
        "userType": "Guest",
        "creationType": "Invitation",
        "accountEnabled": True,
        "createdDateTime": text(365),
        "externalUserState": "Accepted",
        "externalUserStateChangeDateTime": text(365),
        **user,
    }
    row = {"email": more["mail"], THEN: then, BECAUSE: because, **({SEEN: text(seen)} if seen is not None else {})}
    return Asked(index, row, DirectoryUser(f"id-{index}", None, member=False, enabled=True, more=more))


def pending(days: float) -> dict[str, Any]:
    """Of a guest who was invited so long ago."""
    return {"externalUserState": "PendingAcceptance", "createdDateTime": text(days)} | {
        "externalUserStateChangeDateTime": text(days)
    }


async def compare(
    rows: Sequence[Asked],
    dates: Any = None,
    *,
    reminded: dict[int, Reminded] | None = None,
    disabled: dict[str, datetime] | None = None,
) -> tuple[dict[int, Outcome | Stop], Asking]:
    """How the rows end. `dates`: when guests signed in, by id, or how Graph answers."""

    def answer(request: GraphRequest) -> GraphAnswer:
        if isinstance(dates, GraphAnswer):
            return dates
        known = dates or {}
        return found(
            *(
                {
                    "id": asked.user.id,
                    "signInActivity": known.get(asked.user.id) and {"lastSignInDateTime": known[asked.user.id]},
                }
                for asked in rows
                if asked.user and f"'{asked.user.id}'" in unquote(request.path)
            )
        )

    ask = Asking(answer)
    ask.reminders = ask.disabled = Memory(reminded=reminded or {}, disabled=disabled or {})
    ended = await OPERATION.compare(ask, rows, CONNECTION, Options())
    return dict(ended), ask


def letter(one: Outcome | Stop) -> RowState:
    """How a row ended."""
    assert isinstance(one, Outcome)
    return one.letter


DUE = (
    row_of(0, "remind", "pending", **pending(8)),
    row_of(1, "disable", "pending", **pending(31)),
    row_of(2, "disable", "inactive"),
    row_of(3, "disable", "inactive", seen=91),
    row_of(4, "disable", "expired", onPremisesExtensionAttributes={"extensionAttribute10": "2026-05-31"}),
    row_of(5, "delete", "disabled", accountEnabled=False),
)


async def test_who_is_due_still_goes_on() -> None:
    """To the stage that the row names; dates are asked for where they could change that."""
    ended, ask = await compare(DUE, {"id-3": text(91)}, disabled={"id-5": NOW - timedelta(days=31)})
    assert {index: letter(one) for index, one in ended.items()} == dict.fromkeys(range(6), RowState.DONE)
    assert {one.user_id for one in ended.values() if isinstance(one, Outcome)} == {f"id-{n}" for n in range(6)}
    assert len(ask.asked) == 1
    assert "'id-2','id-3','id-5'" in unquote(ask.asked[0])
    assert "signInActivity" in ask.asked[0]


@pytest.mark.parametrize(
    ("row", "dates", "words"),
    [
        (row_of(0, "remind", "pending"), {}, "has accepted since"),
        (row_of(0, "remind", "pending", **pending(1)), {}, "invited on"),
        (row_of(0, "remind", "pending", **pending(31)), {}, "the next run decides anew"),
        (row_of(0, "disable", "pending", **pending(1)), {}, "invited on 2026-05-31 (1 day ago)"),
        (row_of(0, "disable", "inactive"), {"id-0": text(0)}, "last attempt to sign in on 2026-06-01"),
        (row_of(0, "disable", "inactive", externalUserStateChangeDateTime=text(1)), {}, "accepted on 2026-05-31"),
        (row_of(0, "disable", "inactive", accountEnabled=False), {}, "has been disabled since"),
        (row_of(0, "disable", "inactive", mail="a@sub.spared.example"), {}, "spared by domain"),
        (row_of(0, "disable", "inactive", userType="Member"), {}, "a member of the tenant"),
        (row_of(0, "disable", "inactive", creationType=None), {}, "did not come by an invitation"),
        (row_of(0, "disable", "expired"), {}, "the next run decides anew"),  # no date was asked for
        (row_of(0, "delete", "disabled"), {}, "somebody has enabled this guest"),
        (row_of(0, "delete", "disabled", accountEnabled=False), {}, "disabled, and not by usher"),
    ],
)
async def test_whose_state_changed_meanwhile_is_left_alone(row: Asked, dates: dict[str, str], words: str) -> None:
    """Skipped, with a sentence that says what changed."""
    ended, _ = await compare([row], dates)
    (one,) = ended.values()
    assert isinstance(one, Outcome)
    assert (one.letter, one.user_id) == (RowState.SKIPPED, "id-0")
    assert one.message.startswith("Left alone: ")
    assert words in one.message


@pytest.mark.parametrize(
    ("job", "letter_"), [("other", RowState.SKIPPED), ("r", RowState.DONE), ("r~remind", RowState.DONE)]
)
async def test_who_was_invited_meanwhile_is_left_alone(job: str, letter_: RowState) -> None:
    """By another job than the one that reminded them: that is no invitation."""
    reminded = {0: Reminded(1, NOW - timedelta(days=1), "r")}
    ask = Asking(lambda request: found())
    ask.reminders = ask.disabled = Memory(reminded=reminded, disabled={})
    ask.invited = {0: KnownRow(0, int((NOW - timedelta(days=1)).timestamp()), job)}
    ended = await OPERATION.compare(ask, [row_of(0, "disable", "pending", **pending(31))], CONNECTION, Options())
    assert letter(ended[0]) is letter_


async def test_who_was_reminded_meanwhile_is_left_alone() -> None:
    """By whatever job; and who tried to sign in since usher disabled them is not deleted."""
    ended, _ = await compare(
        [row_of(0, "remind", "pending", **pending(8)), row_of(1, "delete", "disabled", 41, accountEnabled=False)],
        {"id-1": text(1)},
        reminded={0: Reminded(1, NOW - timedelta(days=1))},
        disabled={"id-1": NOW - timedelta(days=40)},
    )
    assert [letter(one) for one in ended.values()] == [RowState.SKIPPED] * 2


@pytest.mark.parametrize(
    "dates", [GraphAnswer(Fate.ANSWERED, 403, {}, {}), GraphAnswer(Fate.ANSWERED, 200, {}, {"value": None}), {}]
)
async def test_a_date_that_cannot_be_read_any_more_saves_a_guest(dates: Any) -> None:
    """Also where Graph shows none all at once."""
    ended, _ = await compare([row_of(0, "disable", "inactive", seen=91)], dates)
    (one,) = ended.values()
    assert isinstance(one, Outcome)
    assert (one.letter, one.code) == (RowState.FAILED, "sign_ins_unread")
    assert "AuditLog.Read.All" in one.message


async def test_dates_are_asked_for_fifteen_a_request_and_the_others_do_not_wait() -> None:
    """Who waits for the quota is asked for later, alone."""
    rows = [*DUE[:2], *(row_of(n, "disable", "inactive") for n in range(2, 40))]
    later = Stop(Rest.QUOTA, 6.0)

    class Slow(Asking):
        async def get(self, requests: Sequence[GraphRequest], buckets: Any = None) -> Any:
            assert [bucket.scope.partition(":")[0] for bucket in buckets] == ["sign-ins-app"]
            if self.calls == 2:
                raise CannotAsk(later)
            return await super().get(requests, buckets)

    ask = Slow(lambda request: found(*({"id": f"id-{n}"} for n in range(40))))
    ask.reminders = ask.disabled = Memory(reminded={}, disabled={})
    ended = await OPERATION.compare(ask, rows, CONNECTION, Options())
    assert [index for index, one in ended.items() if one is later] == list(range(32, 40))
    assert {letter(one) for one in ended.values() if one is not later} == {RowState.DONE}
    assert len(ended) == len(rows)


def test_who_is_gone_is_left_alone() -> None:
    """That is no failure."""
    one = OPERATION.judge_seen(Asked(0, {"email": "a@b.example"}, None), Options())
    assert one is not None
    assert (one.letter, one.code) == (RowState.SKIPPED, "not_there")
    assert OPERATION.look(CONNECTION, Options(), suspect=False) is Look.MUST


def test_it_leads_to_what_a_policy_has_done_and_to_nothing_else() -> None:
    """Nor does an invitation lead to it."""
    led = {name for name, one in OPERATIONS.items() if OPERATION.leads_to(one)}
    assert {"remind", "disable"} <= led <= {"remind", "disable", "delete"}
    assert not OPERATIONS["invite"].leads_to(OPERATION)


def test_a_reminder_is_a_mail_whatever_the_connection_says_of_invitations() -> None:
    """As by hand."""
    assert OPERATION.settle(Options(), build_connection(send_message=False)).send_message is True


async def test_who_is_spared_since_is_left_alone() -> None:
    """Whoever asked for an exception while the job waited for its approval."""
    ask = Asking(lambda request: found({"id": "id-2", "signInActivity": None}))
    ask.spared = (Spared(addresses=frozenset({"g2@partner.example"})), "")
    ask.reminders = ask.disabled = Memory(reminded={}, disabled={})
    ended = await OPERATION.compare(ask, [row_of(2, "disable", "inactive")], CONNECTION, Options())
    assert letter(ended[2]) is RowState.SKIPPED
    ask.spared = (Spared(), "The group cannot be read.")
    ended = await OPERATION.compare(ask, [row_of(2, "disable", "inactive")], CONNECTION, Options())
    (one,) = ended.values()
    assert isinstance(one, Outcome)
    assert (one.letter, one.message) == (RowState.FAILED, "The group cannot be read.")


async def test_who_tries_to_come_back_is_not_deleted() -> None:
    """Though nobody knew a date when the list was made."""
    rows = [row_of(5, "delete", "disabled", accountEnabled=False)]
    ended, _ = await compare(rows, {"id-5": text(0.1)}, disabled={"id-5": NOW - timedelta(days=31)})
    assert letter(ended[5]) is RowState.SKIPPED


async def test_an_answer_that_leaves_somebody_out_tells_nothing_of_them() -> None:
    """As half a page would."""
    ask = Asking(lambda request: found())
    ask.reminders = ask.disabled = Memory(reminded={}, disabled={})
    ended = await OPERATION.compare(ask, [row_of(2, "disable", "inactive")], CONNECTION, Options())
    assert letter(ended[2]) is RowState.FAILED
