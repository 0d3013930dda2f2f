"""A sponsor is written where the tenant does not show one yet; nothing is ever taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.configs import build_connection
from tests.standins import answered
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.causes import HoldKind, Kind
from worker.ledger.job_targets import Target, TargetKind
from worker.ledger.model import Options, Outcome, RowState
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.operation import Asked
from worker.operations.sponsors import Sponsors

ANN, BEN = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
IDS = [f"{n}0000000-0000-0000-0000-000000000000" for n in range(1, 8)]
SPONSORS = Sponsors()
CONNECTION = build_connection(graph_url="https://graph.microsoft.us")


class Directory:
    """A tenant that shows sponsors, or (None) lets nobody read them."""

    reminders: Any = None
    disabled: Any = None
    moving: Any = None
    now: Any = None
    sign_in_quota: Any = None

    job = "j"

    def __init__(self, sponsors: Mapping[str, Sequence[str] | None]) -> None:
        self.asked: list[GraphRequest] = []
        self._sponsors = sponsors

    async def find_spared(self) -> Any:
        """Nobody is spared."""
        raise AssertionError

    async def find_invited(self, emails: Any) -> Any:
        """Nobody is remembered."""
        return {}

    async def get(self, requests: Sequence[GraphRequest], buckets: Any = None) -> Mapping[str, GraphAnswer]:
        """Answer each."""
        assert len(requests) <= 20
        self.asked += requests
        return {request.id: self._answer(request) for request in requests}

    def _answer(self, request: GraphRequest) -> GraphAnswer:
        guest = request.path.split("/")[2]
        if guest not in self._sponsors:
            return answered(404, "Request_ResourceNotFound", "Resource does not exist")
        ids = self._sponsors[guest]
        if ids is None:
            return answered(403, "Authorization_RequestDenied", "Insufficient privileges")
        kinds = ("user", "group")
        values = [{"@odata.type": f"#microsoft.graph.{kinds[n % 2]}", "id": one} for n, one in enumerate(ids)]
        return GraphAnswer(Fate.ANSWERED, 200, {}, {"value": values})


def asked(index: int, guest: str, sponsor: str, *, refused: str = "", collection: str = "users", **row: Any) -> Asked:
    """Return a row that names a sponsor."""
    target = Target(sponsor, f"s{index}@contoso.example", TargetKind.SPONSOR, refused, collection=collection)
    return Asked(index, {"email": "a@b.example", "user_id": guest, "target": target.name, **row}, target=target)


async def compare(directory: Directory, *rows: Asked) -> dict[int, str]:
    """Return how rows end before a send, or what they wait for."""
    found = await SPONSORS.compare(directory, rows, CONNECTION, Options())
    return {index: one.why.value if isinstance(one, Stop) else one.letter.value for index, one in found.items()}


async def test_who_is_a_sponsor_already_is_not_written() -> None:
    """People and groups, of guests of before and of those whom the invitation gave them."""
    directory = Directory({ANN: [IDS[0], IDS[1].upper()], BEN: [IDS[0]]})
    rows = (
        asked(0, ANN, IDS[0]),
        asked(1, ANN, IDS[1], collection="groups"),
        asked(2, ANN, IDS[2]),
        asked(3, BEN, IDS[0], new=True),
    )
    ended = await compare(directory, *rows)
    assert ended == {0: RowState.ALREADY, 1: RowState.ALREADY, 3: RowState.DONE}
    assert [request.path for request in directory.asked] == [f"/users/{one}/sponsors?$select=id" for one in (ANN, BEN)]
    assert {request.method for request in directory.asked} == {"GET"}


async def test_what_a_lost_answer_left_is_this_jobs_doing() -> None:
    """Not there before the first try, so that try has done it."""
    assert await compare(Directory({ANN: [IDS[0]]}), replace(asked(0, ANN, IDS[0]), tried=1)) == {0: RowState.DONE}


async def test_where_sponsors_may_not_be_read_each_is_written() -> None:
    """Graph itself says then who is there already."""
    assert await compare(Directory({ANN: None}), asked(0, ANN, IDS[0])) == {}


async def test_a_guest_whom_the_directory_does_not_know_yet_waits() -> None:
    """All rows of that guest, and no other's."""
    rows = (asked(0, ANN, IDS[0]), asked(1, ANN, IDS[1]), asked(2, BEN, IDS[0]))
    assert await compare(Directory({BEN: []}), *rows) == {0: Rest.DIRECTORY, 1: Rest.DIRECTORY}


async def test_a_sixth_sponsor_is_refused_unsent() -> None:
    """Those that there is room for go out."""
    directory = Directory({ANN: IDS[:4]})
    rows = [asked(n, ANN, sponsor) for n, sponsor in enumerate((IDS[0], IDS[4], IDS[5]))]
    assert await compare(directory, *rows) == {0: RowState.ALREADY, 2: RowState.FAILED}


async def test_one_that_stands_for_nobody_ends_the_row_with_its_sentence() -> None:
    """Nothing is asked for it."""
    directory = Directory({})
    found = await SPONSORS.compare(directory, [asked(0, ANN, "", refused="There is none.")], CONNECTION, Options())
    assert isinstance(found[0], Outcome)
    assert (found[0].letter, found[0].code, found[0].message) == (RowState.FAILED, "target_refused", "There is none.")
    assert directory.asked == []


async def test_many_guests_are_asked_for_twenty_at_a_time() -> None:
    """One read a guest."""
    guests = [f"{n:08}-0000-0000-0000-000000000000" for n in range(45)]
    directory = Directory(dict.fromkeys(guests, ()))
    assert await compare(directory, *(asked(n, guest, IDS[0]) for n, guest in enumerate(guests))) == {}
    assert len(directory.asked) == 45


def test_a_sponsor_is_added_by_reference() -> None:
    """In the same cloud, a group among groups. Nothing is deleted, each path ends in /$ref."""
    rows = [asked(0, ANN, IDS[0]), asked(3, BEN, IDS[1], collection="groups")]
    calls = SPONSORS.build(rows, CONNECTION, Options())
    assert [(call.request.method, call.request.path, call.request.body, call.rows) for call in calls] == [
        ("POST", f"/users/{ANN}/sponsors/$ref", {"@odata.id": f"https://graph.microsoft.us/v1.0/users/{IDS[0]}"}, (0,)),
        (
            "POST",
            f"/users/{BEN}/sponsors/$ref",
            {"@odata.id": f"https://graph.microsoft.us/v1.0/groups/{IDS[1]}"},
            (3,),
        ),
    ]


def test_a_row_names_each_sponsor_once() -> None:
    """In its order."""
    assert SPONSORS.targets({"email": "a@b.example", "sponsors": ["x", "y", "x"]}, Options()) == ("x", "y")
    assert SPONSORS.targets({"email": "a@b.example"}, Options()) == ()


EXISTS = "One or more added object references already exist for the following modified properties: 'sponsors'."


@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (answered(204), Kind.DONE, ""),
        (answered(400, "Request_BadRequest", EXISTS), Kind.ALREADY, "already_sponsor"),
        (answered(400, "Request_BadRequest", "Maximum number of sponsors exceeded."), Kind.FAILED, "too_many_sponsors"),
        (answered(400, "Request_BadRequest", "A user can have at most 5 sponsors."), Kind.FAILED, "too_many_sponsors"),
        (answered(400, "Request_BadRequest", "Not a valid reference update."), Kind.RETRY, "not_there_yet"),
        (answered(404, "Request_ResourceNotFound", "Resource x does not exist"), Kind.RETRY, "not_there_yet"),
        (answered(404, "Request_ResourceNotFound", f"Resource '{ANN}' does not exist"), Kind.RETRY, "not_there_yet"),
        (answered(404, "Request_ResourceNotFound", f"Resource '{IDS[0]}' does not exist"), Kind.FAILED, "sponsor_gone"),
        (answered(403, "Authorization_RequestDenied", "Insufficient privileges"), Kind.HOLD, "no_permission"),
        (GraphAnswer(Fate.LOST), Kind.IN_DOUBT, "in_doubt"),
    ],
)
def test_what_graph_says_of_a_sponsor(answer: GraphAnswer, kind: Kind, cause: str) -> None:
    """A row ends with a sentence, waits for the directory, or holds this step alone."""
    one = asked(0, ANN, IDS[0])
    verdict = SPONSORS.judge(one, SPONSORS.build([one], CONNECTION, Options())[0], answer)
    assert (verdict.kind, verdict.cause) == (kind, cause)
    if kind is Kind.HOLD:
        assert verdict.hold is HoldKind.PERMISSION
        assert "User.ReadWrite.All" in verdict.message
