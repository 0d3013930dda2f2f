"""Look-ups when Graph refuses some of it: one odd address blinds nobody else, and only 403 means
"may not read".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from config.reader import parse_connection
from config.settings import Settings
from worker.clocks import Clocks
from worker.directory.lookups import Found, LookUps, Unshown, WhyNot
from worker.graph.batch import NOTE_WHOLE_BATCH, Fate, GraphAnswer, GraphRequest
from worker.graph.users import MOST_ADDRESSES
from worker.ledger.meters import Meters
from worker.ledger.model import Lane
from worker.ledger.quota import Bucket, throttled_buckets
from worker.ledger.why_waiting import Rest, Stop
from worker.sending.reactions import Reactions
from worker.services import Services

CONTOSO = parse_connection(
    "contoso", {"tenant_id": "1" * 8 + "-1111-1111-1111-" + "1" * 12, "client_id": "a", "client_secret": "env:NONE"}
)
ADDRESSES = [f"a{n:03}@x.example" for n in range(70)]
Answer = Callable[[str], GraphAnswer]


def _ok(*mails: str) -> GraphAnswer:
    return GraphAnswer(Fate.ANSWERED, 200, {}, {"value": [{"id": f"id-{m}", "mail": m} for m in mails]}, "")


def _refusal(status: int, code: str = "Odd", note: str = "", **headers: str) -> GraphAnswer:
    return GraphAnswer(Fate.ANSWERED, status, headers, {"error": {"code": code, "message": "No."}}, note)


class _World:
    """Graph, tokens, quota and reactions as far as looking up uses them; writes down what it is
    asked.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.calls: list[list[str]] = []
        self.taken: list[int] = []
        self.throttled_s: list[float | None] = []
        self.invalidated = 0
        self.no_quota_after = 99
        self.clocks = Clocks()
        self.meters = Meters()
        self.ledger = self.spending = self.graph = self.tokens = self

    def settings(self) -> Settings:
        return Settings()

    async def take_token(self, connection: object) -> Any:
        return SimpleNamespace(roles=None, secret="t")

    async def invalidate(self, connection: object, token: object) -> None:
        self.invalidated += 1

    async def take(self, buckets: Sequence[Bucket], tokens: int, lane: Lane) -> float:
        self.taken.append(tokens)
        return 1.0 if len(self.taken) > self.no_quota_after else 0.0

    async def throttled(
        self, connection: object, buckets: Sequence[Bucket], verdict: Any, *, refused: int, elapsed_s: float
    ) -> Stop:
        assert refused >= 1
        assert elapsed_s >= 0
        assert {b.scope.split(":")[0] for b in throttled_buckets(buckets, verdict.throttle_scope)} <= {
            "units",
            "units-app",
        }
        self.throttled_s.append(verdict.retry_after_s)
        return Stop(Rest.THROTTLED, 1.0)

    async def send_batch(self, connection: object, token: object, requests: Sequence[GraphRequest], **_: Any) -> Any:
        filters = [parse_qs(urlsplit(r.path).query)["$filter"][0] for r in requests]
        self.calls.append(filters)
        answers = {r.id: self.answer(text) for r, text in zip(requests, filters, strict=True)}
        return SimpleNamespace(answers=answers, server_date=None)


async def _find(answer: Answer, addresses: Sequence[str] = ADDRESSES, *, calls: int = 99) -> tuple[Found, _World]:
    world = _World(answer)
    world.no_quota_after = calls
    return await LookUps(cast(Services, world), cast(Reactions, world)).find(CONTOSO, addresses), world


async def test_all_is_asked_in_one_call() -> None:
    """The rule: 70 addresses, one call, nobody unknown."""
    found, world = await _find(
        lambda text: _ok("a007@x.example") if "a007" in text and text.startswith("mail") else _ok()
    )
    assert found.users
    assert set(found.users) == {"a007@x.example"}
    assert not found.unknown
    assert world.taken == [20]


async def test_what_one_call_cannot_hold_is_asked_at_the_same_time() -> None:
    """Twice as many addresses, two calls, their quota taken at once; an odd address in one of them
    blinds nobody in the other.
    """
    people = [f"a{n:03}@x.example" for n in range(MOST_ADDRESSES)]
    found, world = await _find(lambda text: _refusal(400) if "a139" in text else _ok("a001@x.example"), people)
    assert world.taken[:2] == [40, 4]
    assert [len(call) for call in world.calls[:3]] == [20, 20, 4]
    assert found.users
    assert dict(found.unknown) == {"a139@x.example": WhyNot.MAY_NOT}


@pytest.mark.parametrize("bad", [["a007"], ["a000", "a069"], ["a003", "a004", "a030", "a067"]])
async def test_an_odd_address_blinds_nobody_else(bad: list[str]) -> None:
    """Asked in halves until the odd ones stand alone; the others are found, or are known to be
    absent.
    """

    def answer(text: str) -> GraphAnswer:
        if any(name in text for name in bad):
            return _refusal(400)
        return _ok("a005@x.example", "a031@x.example") if text.startswith("mail") else _ok()

    found, world = await _find(answer)
    assert found.users is not None
    assert {"a005@x.example", "a031@x.example"} <= set(found.users)
    assert dict(found.unknown) == {f"{name}@x.example": WhyNot.MAY_NOT for name in bad}
    assert len(world.calls) == 4
    assert world.taken == [len(call) for call in world.calls]


async def test_refusals_without_end_are_bounded() -> None:
    """Every question refused, at every size: a few calls of at most 20 requests; nobody can tell,
    which is no "later".
    """
    found, world = await _find(lambda text: _refusal(400))
    assert len(world.calls) <= 6
    assert all(len(call) <= 20 for call in world.calls)
    assert {found.why_not_of(address) for address in ADDRESSES} == {WhyNot.MAY_NOT}


async def test_what_graph_could_not_answer_is_asked_later() -> None:
    """A 5xx of some questions: those addresses later, the others now."""
    found, _ = await _find(lambda text: _refusal(500) if "a007" in text else _ok("a031@x.example"))
    assert found.users
    assert dict(found.unknown) == {"a007@x.example": WhyNot.LATER}


@pytest.mark.parametrize("whole", [_refusal(502, note=NOTE_WHOLE_BATCH), GraphAnswer(Fate.LOST, 0, {}, None, "gone")])
async def test_no_answer_is_later_and_not_asked_in_halves(whole: GraphAnswer) -> None:
    """An outage is not answered with more questions."""
    found, world = await _find(lambda text: whole)
    assert {found.why_not_of(address) for address in ADDRESSES} == {WhyNot.LATER}
    assert len(world.calls) == 1


async def test_only_403_means_may_not_read() -> None:
    """Of any question; nothing is asked again."""
    found, world = await _find(lambda text: _refusal(403, "Authorization_RequestDenied") if "a007" in text else _ok())
    assert (found.users, found.why_not, len(world.calls)) == (None, WhyNot.MAY_NOT, 1)


async def test_a_refused_token_is_replaced_once_and_then_asked_later() -> None:
    """401 says nothing of what the app may read, with a fresh token either: nobody can tell for
    now.
    """
    found, world = await _find(lambda text: _refusal(401, "InvalidAuthenticationToken"))
    assert (found.why_not, world.invalidated, len(world.calls)) == (WhyNot.LATER, 2, 2)


async def test_a_throttled_look_up_closes_the_units_and_waits() -> None:
    """What it speaks of is closed for the longest wait named; what was answered counts."""
    waits = iter(["3", "7"] + ["2"] * 18)
    found, world = await _find(
        lambda text: _refusal(429, **{"retry-after": next(waits)}) if "a00" in text else _ok("a031@x.example")
    )
    assert world.throttled_s == [7.0]
    assert found.users
    assert found.why_not_of("a031@x.example") is None
    assert found.why_not_of("a007@x.example") is WhyNot.LATER
    assert len(world.calls) == 1


async def test_halves_share_the_budget() -> None:
    """Without units left the rest is asked later."""
    found, world = await _find(lambda text: _refusal(400) if "a007" in text else _ok(), calls=2)
    assert len(world.calls) == 2
    assert found.why_not_of("a007@x.example") is WhyNot.LATER
    assert found.why_not_of("a031@x.example") is None


@pytest.mark.parametrize(
    ("answer", "may_read"),
    [(_ok(), True), (_refusal(403, "Authorization_RequestDenied"), False), (_refusal(500), True)],
)
async def test_whether_the_app_may_read_is_remembered_where_its_token_does_not_say(
    answer: GraphAnswer, may_read: bool
) -> None:
    """A row that is perhaps processed (503) is looked up first wherever that may be possible."""
    world = _World(lambda text: answer)
    look_ups = LookUps(cast(Services, world), cast(Reactions, world))
    token = await world.take_token(None)
    assert look_ups.may_read(CONTOSO, token)
    await look_ups.find(CONTOSO, ["a@x.example"])
    assert look_ups.may_read(CONTOSO, token) is may_read


@pytest.mark.parametrize(
    ("roles", "may_read"),
    [
        ({"User.Invite.All"}, False),
        ({"User.Read.All"}, True),
        ({"User.ReadUpdate.All"}, True),
        ({"User.ReadWrite.All"}, True),
        (set(), False),
    ],
)
def test_the_tokens_roles_say_whether_the_app_may_read(roles: set[str], may_read: bool) -> None:
    """Where they are known, they are believed."""
    world = _World(lambda text: _ok())
    look_ups = LookUps(cast(Services, world), cast(Reactions, world))
    assert look_ups.may_read(CONTOSO, cast(Any, SimpleNamespace(roles=frozenset(roles)))) is may_read


def test_who_was_not_shown_is_not_looked_for_by_everybody() -> None:
    """One look is enough for all that wait for the guest, of the same tenant; a clock that was put
    back is not waited for.
    """
    unshown = Unshown()
    assert unshown.left_s("t", "g", 1_000) == 0
    unshown.note("t", "g", 1_000, 4.0)
    assert (unshown.left_s("t", "g", 2_000), unshown.left_s("other", "g", 2_000)) == (3.0, 0)
    assert unshown.left_s("t", "g", 5_000) == 0
    assert unshown.left_s("t", "g", -600_000) == 0
