from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.graph.batch import Fate, GraphRequest, pair_answers

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_IDS = st.lists(st.text("abcdef0123456789", min_size=1, max_size=4), min_size=1, max_size=20, unique=True)


def _requests(ids: list[str]) -> list[GraphRequest]:
    return [GraphRequest(request_id, "POST", "/invitations", {}) for request_id in ids]


@given(_IDS, st.data())
def test_every_answer_finds_its_request_in_any_order(ids: list[str], data: st.DataObject) -> None:
    """However Graph orders the answers and spells the ids, each request gets its own."""
    items: list[dict[str, Any]] = [
        {"id": request_id.upper(), "status": 201, "body": {"for": request_id}} for request_id in ids
    ]
    answers = pair_answers(_requests(ids), {"responses": data.draw(st.permutations(items))})
    assert {request_id: answer.body["for"] for request_id, answer in answers.items()} == {i: i for i in ids}


@given(_IDS, st.data())
def test_missing_and_doubled_answers_are_lost_and_no_other(ids: list[str], data: st.DataObject) -> None:
    """A request is answered only when exactly one item speaks of it."""
    times = {request_id: data.draw(st.integers(0, 3)) for request_id in ids}
    items = [{"id": request_id, "status": 429} for request_id, count in times.items() for _ in range(count)]
    answers = pair_answers(_requests(ids), {"responses": data.draw(st.permutations(items))})
    assert {i for i, answer in answers.items() if answer.fate is Fate.ANSWERED} == {i for i in ids if times[i] == 1}
    assert set(answers) == set(ids)


@given(_IDS, _JSON | st.fixed_dictionaries({"responses": st.lists(_JSON, max_size=5)}))
def test_any_envelope_gives_one_answer_a_request(ids: list[str], envelope: Any) -> None:
    """Rubbish in an answer is a doubt about its request, never an exception."""
    assert list(pair_answers(_requests(ids), envelope)) == ids
