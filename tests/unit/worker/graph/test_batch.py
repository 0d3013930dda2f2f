from __future__ import annotations

import pytest

from worker.graph.batch import Fate, GraphAnswer, GraphRequest, build_batch, pair_answers


def _invite(request_id: str) -> GraphRequest:
    return GraphRequest(request_id, "POST", "/invitations", {"invitedUserEmailAddress": "a@example.com"})


def test_item_with_body_names_its_content_type() -> None:
    """Graph refuses a whole batch when one item with a body has no Content-Type."""
    item = build_batch([_invite("1")])["requests"][0]
    assert item["headers"] == {"Content-Type": "application/json"}
    assert item["url"] == "/invitations"


def test_content_type_of_the_caller_is_kept() -> None:
    """A header in any case is the caller's own."""
    request = GraphRequest("1", "POST", "/x", {}, {"content-type": "application/json; charset=utf-8"})
    assert build_batch([request])["requests"][0]["headers"] == {"content-type": "application/json; charset=utf-8"}


def test_item_without_body_has_no_headers_of_ours() -> None:
    """A read is as bare as Graph's own samples."""
    assert build_batch([GraphRequest("r", "GET", "/organization")])["requests"] == [
        {"id": "r", "method": "GET", "url": "/organization"}
    ]


@pytest.mark.parametrize("ids", [[], [str(n) for n in range(21)], ["a", "A"]])
def test_batch_that_graph_would_refuse_is_our_fault(ids: list[str]) -> None:
    """Nothing, too much and ids that differ only in case never reach the wire."""
    with pytest.raises(ValueError):
        build_batch([_invite(i) for i in ids])


@pytest.mark.parametrize("envelope", [None, [], "text", 7, {}, {"responses": None}, {"responses": {"id": "1"}}])
def test_envelope_that_is_none_loses_every_request(envelope: object) -> None:
    """An envelope that cannot be read leaves every request in doubt."""
    answers = pair_answers([_invite("1"), _invite("2")], envelope)
    assert [answer.fate for answer in answers.values()] == [Fate.LOST, Fate.LOST]


@pytest.mark.parametrize("status", [None, "201", True, 99, 600, 201.0, []])
def test_item_without_a_status_is_lost(status: object) -> None:
    """A status that is no HTTP status proves nothing."""
    answers = pair_answers([_invite("1")], {"responses": [{"id": "1", "status": status, "body": {}}]})
    assert answers["1"].fate is Fate.LOST


def test_ids_are_compared_without_case_and_strangers_left_out() -> None:
    """Graph may change the case of an id; an id that nobody asked for is nobody's answer."""
    answers = pair_answers(
        [_invite("Row-1")], {"responses": [{"id": "ROW-1", "status": 201}, {"id": "x", "status": 201}]}
    )
    assert answers == {"Row-1": GraphAnswer(Fate.ANSWERED, 201)}


def test_header_names_are_lower_case_and_values_text() -> None:
    """A reader of headers asks for one spelling only."""
    item = {"id": "1", "status": 429, "headers": {"Retry-After": 7}, "body": {"error": {}}}
    assert pair_answers([_invite("1")], {"responses": [item]})["1"].headers == {"retry-after": "7"}


def test_repr_of_an_answer_keeps_the_redeem_link_to_itself() -> None:
    """A logged answer lets nobody in."""
    assert "ticket" not in repr(GraphAnswer(Fate.ANSWERED, 201, {}, {"inviteRedeemUrl": "https://x/?ticket=1"}))
