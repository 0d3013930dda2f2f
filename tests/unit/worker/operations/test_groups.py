"""Guests are put into groups with the fewest writes, and every refusal says whom it is about."""

from __future__ import annotations

from typing import Any

import pytest

from config.settings import Settings
from tests.configs import build_connection
from tests.standins import answered
from tests.unit.worker.operations.asking import Asking, found
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.ledger.job_targets import Target, TargetKind
from worker.ledger.model import Options, Outcome, RowState
from worker.operations.members.group_members import MOST_MEMBERS, GroupMembers
from worker.operations.members.groups import Groups
from worker.operations.operation import Asked

CONNECTION = build_connection()
GROUPS = Groups()


def target(number: int = 1, refused: str = "") -> Target:
    """Return a group that was found."""
    return Target(guid(number, "a"), f"Group {number}", TargetKind.GROUP, refused, f"Group {number}")


def guid(number: int, kind: str = "0") -> str:
    """Return an object's id."""
    return f"{kind * 8}-0000-4000-8000-{number:012d}"


def asked(index: int, group: int = 1, **more: Any) -> Asked:
    """Return a row of a guest whom this job has just invited."""
    item = {"email": f"g{index}@partner.example", "user_id": guid(index), "new": True, "target": f"Group {group}"}
    own = {name: more.pop(name) for name in ("new",) if name in more}
    return Asked(index, item | own, target=more.pop("target", target(group)), **more)


def judge(answer: GraphAnswer, *, rows: int = 20, index: int = 0, **more: Any) -> Verdict:
    """Judge one row of a call that so many share."""
    (call,) = GROUPS.build([asked(i) for i in range(rows)], CONNECTION, Options())
    return GROUPS.judge(asked(index, **more), call, answer)


def test_a_group_takes_twenty_with_one_write() -> None:
    """Rows of one group share calls; the references lead to the connection's own cloud."""
    china = build_connection(cloud="china")
    calls = GROUPS.build([asked(i, group=1 + i % 2) for i in range(50)], china, Options())
    assert sorted(len(call.rows) for call in calls) == [5, 5, 20, 20]
    assert {call.request.method for call in calls} == {"PATCH"}
    assert calls[0].request.path == f"/groups/{guid(1, 'a')}"
    bound = calls[0].request.body["members@odata.bind"]  # type: ignore[index]
    assert bound[0] == f"https://microsoftgraph.chinacloudapi.cn/v1.0/directoryObjects/{guid(0)}"
    assert sorted(row for call in calls for row in call.rows) == list(range(50))


def test_a_row_that_goes_alone_spoils_no_other() -> None:
    """It is added by a reference of its own; so is whoever is the only one."""
    calls = GROUPS.build([asked(0), asked(1), asked(2, silent=True), asked(3, group=2)], CONNECTION, Options())
    by_rows = {call.rows: call.request for call in calls}
    assert by_rows.keys() == {(2,), (0, 1), (3,)}
    assert (by_rows[2,].method, by_rows[2,].path) == ("POST", f"/groups/{guid(1, 'a')}/members/$ref")
    assert by_rows[2,].body == {"@odata.id": f"{CONNECTION.graph_url}/directoryObjects/{guid(2)}"}
    assert by_rows[3,].path == f"/groups/{guid(2, 'a')}/members/$ref"


def test_a_guest_who_stands_there_twice_is_named_once() -> None:
    """Two rows of one guest in one call: Graph would refuse a member that is there twice."""
    twice = [asked(0), Asked(1, asked(0).row, target=target()), asked(2)]
    (call,) = GROUPS.build(twice, CONNECTION, Options())
    assert len(call.request.body["members@odata.bind"]) == 2  # type: ignore[index]
    assert call.rows == (0, 1, 2)


def test_a_row_costs_its_share_of_a_call() -> None:
    """Twenty together one write; alone one each."""
    together = [asked(i) for i in range(20)]
    alone = [asked(i, silent=True) for i in range(3)]
    for rows, share in ((together, 1 / 20), (together[:3], 1 / 3), (alone, 1.0), ([], 1 / 20)):
        assert {bucket.cost for bucket in GROUPS.buckets(Settings(), CONNECTION, rows)} == {share}


ALREADY = answered(
    400,
    "Request_BadRequest",
    "One or more added object references already exist for the following modified properties: 'members'.",
)
NO_GUESTS = answered(
    403,
    "Authorization_RequestDenied",
    "Guests users are not allowed to join this Unified Group due to policy setting. paramName: Members",
)
FULL = answered(403, "Directory_QuotaExceeded", "The object has reached its quota of forward-link references.")
NO_REFERENCE = answered(
    400, "Request_BadRequest", "The source resource object or one of the objects being referenced do not exist."
)


def missing(name: str) -> GraphAnswer:
    """Return the 404 for an object."""
    return answered(
        404,
        "Request_ResourceNotFound",
        f"Resource '{name}' does not exist or one of its queried reference-property objects are not present.",
    )


@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (answered(204), Kind.DONE, ""),
        (ALREADY, Kind.ALREADY, "already_member"),
        (NO_GUESTS, Kind.FAILED, "guests_forbidden"),
        (FULL, Kind.FAILED, "directory_full"),
        (NO_REFERENCE, Kind.RETRY, "not_there_yet"),
        (missing(guid(0)), Kind.RETRY, "not_there_yet"),
        (missing(guid(1, "a")), Kind.FAILED, "group_gone"),
        (answered(400, "Request_BadRequest", "Not a valid reference update."), Kind.RETRY, "not_there_yet"),
        (
            answered(400, "Request_BadRequest", "Cannot Update a mail-enabled security groups and or distribution."),
            Kind.FAILED,
            "mail_enabled_group",
        ),
        (
            answered(400, "Request_BadRequest", "Unable to update … on-premises mastered Directory Sync objects"),
            Kind.FAILED,
            "synced_group",
        ),
        (
            answered(400, "Request_BadRequest", "Cannot modify the members of a group with dynamic membership."),
            Kind.FAILED,
            "dynamic_group",
        ),
        (
            answered(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
            Kind.HOLD,
            "no_permission",
        ),
        (answered(429, "TooManyRequests", "Slow down."), Kind.THROTTLED, "throttled"),
        (answered(504, "UnknownError", ""), Kind.IN_DOUBT, "in_doubt"),
        (GraphAnswer(Fate.LOST), Kind.IN_DOUBT, "in_doubt"),
        (answered(400, "Request_BadRequest", "Something else."), Kind.FAILED, "refused"),
    ],
)
def test_what_graph_says_of_a_row_alone(answer: GraphAnswer, kind: Kind, cause: str) -> None:
    """It ends with a sentence, waits for the directory, or holds this step alone."""
    verdict = judge(answer, rows=1)
    assert (verdict.kind, verdict.cause) == (kind, cause)
    assert "{" not in verdict.message
    if verdict.hold:
        assert verdict.hold is HoldKind.PERMISSION
        assert "GroupMember.ReadWrite.All" in verdict.message


@pytest.mark.parametrize("answer", [NO_GUESTS, FULL, missing(guid(1, "a"))])
def test_what_is_said_of_the_group_is_said_of_all_its_rows(answer: GraphAnswer) -> None:
    """By the group's own name, however many share the call."""
    for rows in (1, 20):
        verdict = judge(answer, rows=rows)
        assert verdict.whole_target
        assert "“Group 1”" in verdict.message


def test_one_bad_member_fails_nobody_else() -> None:
    """Nobody knows which of the call it is, so each is sent again alone; who is a member already is
    looked for before that.
    """
    odd = answered(400, "Request_BadRequest", "Something else.")
    for answer, tried, apart in ((odd, 0, True), (ALREADY, 0, False), (ALREADY, 1, True)):
        verdict = judge(answer, tried=tried)
        assert (verdict.kind, verdict.apart) == (Kind.AGAIN, apart)


def test_guests_whom_the_group_does_not_know_yet() -> None:
    """New ones wait together, for a while; then whom Graph names waits alone, or each by itself
    where it names none of them.
    """
    assert judge(missing(guid(0))).kind is Kind.RETRY
    assert judge(NO_REFERENCE).kind is Kind.RETRY
    assert judge(missing(guid(7)), tried=2).kind is Kind.RETRY
    for verdict, apart in (
        (judge(missing(guid(7)), tried=3), False),
        (judge(missing(guid(7)), new=False), False),
        (judge(NO_REFERENCE, tried=3), True),
        (judge(missing(guid(99)), tried=3), True),
        (judge(missing(guid(99)), new=False), True),
    ):
        assert (verdict.kind, verdict.apart) == (Kind.AGAIN, apart)
    assert judge(missing(guid(0)), tried=5, new=False).kind is Kind.RETRY


async def compare(ask: Asking, *rows: Asked, groups: Groups | None = None) -> dict[int, Outcome]:
    """Compare rows with a tenant."""
    outcomes = await (groups or Groups()).compare(ask, rows, CONNECTION, Options())
    return {index: outcome for index, outcome in outcomes.items() if isinstance(outcome, Outcome)}


async def test_of_a_guest_who_was_just_invited_nothing_is_asked() -> None:
    """They are in nothing yet."""
    ask = Asking(lambda request: found())
    assert await compare(ask, *(asked(i) for i in range(20))) == {}
    assert ask.asked == []


async def test_who_is_a_member_costs_no_write() -> None:
    """A group's members are read once for a job, page after page, however many rows name it."""
    page = f"{CONNECTION.graph_url}/groups/{guid(1, 'a')}/members?$skiptoken=2"

    def answer(request: GraphRequest) -> GraphAnswer:
        if "skiptoken" in request.path:
            return found({"id": guid(2).upper()})
        return found({"id": guid(1)}, **{"@odata.nextLink": page})

    ask, groups = Asking(answer), Groups()
    rows = [asked(i, new=False) for i in range(4)]
    outcomes = await compare(ask, *rows, groups=groups)
    assert {index: outcome.letter for index, outcome in outcomes.items()} == dict.fromkeys((1, 2), RowState.ALREADY)
    assert ask.asked == [
        f"/groups/{guid(1, 'a')}/members?$select=id&$top=999",
        f"/groups/{guid(1, 'a')}/members?$skiptoken=2",
    ]
    assert await compare(ask, *rows, groups=groups) == outcomes
    assert len(ask.asked) == 2
    await compare(Asking(answer, "next"), *rows, groups=groups)


async def test_another_job_reads_anew() -> None:
    """What was read is believed for one job."""
    first, second, groups = Asking(lambda request: found()), Asking(lambda request: found(), "next"), Groups()
    for ask in (first, second):
        await compare(ask, asked(0, new=False), groups=groups)
        assert len(ask.asked) == 1


async def test_after_a_lost_answer_members_are_read_anew() -> None:
    """Whoever is one now was added by the try that nobody heard of, and is not sent again."""
    groups, ask = Groups(), Asking(lambda request: found({"id": guid(0)}))
    await compare(Asking(lambda request: found()), asked(5, new=False), groups=groups)
    outcomes = await compare(ask, asked(0, tried=1), asked(1, tried=1), asked(2, new=False), groups=groups)
    assert {index: outcome.letter for index, outcome in outcomes.items()} == {0: RowState.DONE}
    assert len(ask.asked) == 1


async def test_of_a_group_too_large_to_read_each_guest_is_asked_for() -> None:
    """Twenty a call, and nothing of it is kept."""
    page = f"{CONNECTION.graph_url}/groups/{guid(1, 'a')}/members?$skiptoken=2"
    members = [{"id": guid(1000 + n)} for n in range(MOST_MEMBERS)]

    def answer(request: GraphRequest) -> GraphAnswer:
        if request.method == "POST":
            return found(*([guid(1, "a")] if guid(3) in request.path else []))
        return found(*members, **{"@odata.nextLink": page})

    ask = Asking(answer)
    outcomes = await compare(ask, *(asked(i, new=False) for i in range(25)))
    assert list(outcomes) == [3]
    assert ask.asked[0].endswith("$top=999")
    assert ask.asked[1:] == [f"/users/{guid(i)}/checkMemberGroups" for i in range(25)]
    assert ask.calls == 3


async def test_where_members_may_not_be_read_graph_says_who_is_one() -> None:
    """The rows are sent, and nobody is taken for a member."""
    ask = Asking(lambda request: answered(403, "Authorization_RequestDenied", "No."))
    assert await compare(ask, asked(0, new=False)) == {}


async def test_memory_of_members_is_bounded() -> None:
    """What was read longest ago is let go."""
    members = [{"id": guid(n)} for n in range(MOST_MEMBERS - 1)]
    memory, ask = GroupMembers(), Asking(lambda request: found(*members))
    for group in [*range(12), 0]:
        await memory.find(ask, CONNECTION, guid(group, "a"), frozenset())
    assert len(ask.asked) == 13
    await memory.find(ask, CONNECTION, guid(11, "a"), frozenset())
    assert len(ask.asked) == 13


async def test_a_refused_target_ends_its_rows_unsent() -> None:
    """With the sentence that was found before the start."""
    outcomes = await compare(Asking(lambda request: found()), asked(0, target=target(1, "A rule decides.")), asked(1))
    assert {(i, outcome.letter, outcome.message) for i, outcome in outcomes.items()} == {
        (0, RowState.FAILED, "A rule decides.")
    }


def test_a_row_asks_for_its_groups_each_once() -> None:
    """In the row's order; a row that names none asks for nothing."""
    assert GROUPS.targets({"email": "a@b.c", "groups": ["X", "Y", "X"]}, Options()) == ("X", "Y")
    assert GROUPS.targets({"email": "a@b.c"}, Options()) == ()
