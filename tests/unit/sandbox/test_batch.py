"""The sandbox's `$batch`: its items, its envelope, what they depend on, faults of single items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.faults import parse_document, parse_spec
from sandbox.options import QuotaOptions

Item = Callable[..., dict[str, Any]]


def _message(body: Any) -> str:
    return str(body["error"]["message"])


def test_batch_answers_every_item_in_any_order(desk: Any, make_item: Item) -> None:
    """Twenty items, twenty answers, shuffled, each with its own status."""
    items = [make_item(n) for n in range(19)] + [make_item(19, "linus@partner.example")]
    status, body = desk.batch(*items)
    assert status == 200
    answers = {answer["id"]: answer for answer in body["responses"]}
    assert len(answers) == 20
    assert list(answers) != [str(n) for n in range(20)]
    assert answers["0"]["status"] == 201
    assert answers["19"]["status"] == 400
    assert answers["19"]["body"]["error"]["innerError"]["request-id"] == answers["19"]["headers"]["request-id"]


def _without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in names}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda item: _without(item, "headers"),
        lambda item: {**item, "headers": {}},
        lambda item: {**item, "headers": {"Content-Type": "text/plain"}},
        lambda item: {**item, "headers": {"Content-Type": 5}},
        lambda item: _without(item, "body"),
        lambda item: _without(item, "id"),
        lambda item: {**item, "id": 7},
        lambda item: _without(item, "method"),
        lambda item: {**item, "method": "SEND"},
        lambda item: {**item, "url": "invitations"},
        lambda item: {**item, "url": "https://graph.microsoft.com/v1.0/invitations"},
        lambda item: {**item, "priority": "low"},
        lambda item: {**item, "id": "A"},
        lambda item: {**item, "dependsOn": ["later"]},
        lambda item: "item",
    ],
)
def test_one_bad_item_fails_the_whole_batch(desk: Any, make_item: Item, spoil: Any) -> None:
    """Among them a body without Content-Type, and ids that differ in case only."""
    good = {**make_item(1), "id": "a"}
    status, _ = desk.batch(good, spoil(make_item(2)))
    assert status == 400
    assert desk.world.recorder.invited == 0


def test_batch_size_and_envelope(desk: Any, make_item: Item) -> None:
    """At most 20 items, at least one, and nothing beside them."""
    status, body = desk.batch(*(make_item(n) for n in range(21)))
    assert (status, body["error"]["code"]) == (400, "MaximumValueExceeded")
    assert desk.batch()[0] == 400
    assert desk.ask("POST", "/$batch", {"requests": [make_item(1)], "more": 1}).status == 400
    assert desk.ask("POST", "/$batch", [make_item(1)]).status == 400
    assert desk.ask("GET", "/$batch").status == 405
    assert desk.world.recorder.invited == 0


def test_items_that_make_no_sense_fail_alone(desk: Any, make_item: Item) -> None:
    """An unknown path, a nested batch or a query on /invitations is that item's 400."""
    targets = ["/v1.0/invitations", "/$batch", "/invitations?x=1", "/nope"]
    items = [{**make_item(n), "url": target} for n, target in enumerate(targets)]
    _, body = desk.batch(*items, make_item(9))
    statuses = {answer["id"]: answer["status"] for answer in body["responses"]}
    assert statuses == {"0": 400, "1": 400, "2": 400, "3": 400, "9": 201}


def test_dependencies(desk: Any, make_item: Item) -> None:
    """An item whose predecessor failed is 424."""
    _, body = desk.batch(make_item(1, "bad"), {**make_item(2), "dependsOn": ["1"]})
    assert {answer["id"]: answer["status"] for answer in body["responses"]} == {"1": 400, "2": 424}


def test_items_are_metered_one_by_one(make_desk: Any, make_item: Item) -> None:
    """A batch that does not fit is partly done; the rest are 429 inside a 200, each with its
    Retry-After.
    """
    desk = make_desk(quota=QuotaOptions(limits={"invitations_per_tenant": (12, 60)}))
    status, body = desk.batch(*(make_item(n) for n in range(20)))
    assert status == 200
    throttled = [answer for answer in body["responses"] if answer["status"] == 429]
    assert len(throttled) == 8
    assert int(throttled[0]["headers"]["Retry-After"]) >= 1
    assert throttled[0]["headers"]["x-ms-throttle-scope"].startswith("Tenant/Write/")
    assert desk.world.recorder.invited == 12


def test_item_faults(desk: Any, make_item: Item) -> None:
    """Before: not done. After: done, and the answer says otherwise. Half: done, and no answer at
    all.
    """
    for spec, invited, statuses in (
        ("504-before@item=1", 0, [504, 504]),
        ("504-after@item=1", 2, [504, 504]),
        ("half=1*1", 2, [201]),
        ("half-before=1*1", 1, [201]),
        ("429@item@users=1", 2, [201, 201]),
    ):
        desk.world.reset()
        desk.world.set_faults(parse_spec(spec, 0))
        _, body = desk.batch(make_item(1), make_item(2))
        assert [answer["status"] for answer in body["responses"]] == statuses, spec
        assert desk.world.recorder.invited == invited, spec


def test_fault_with_words_of_its_own(desk: Any, make_item: Item) -> None:
    """Any refusal Graph may ever give can be played."""
    fault = {"fault": "error", "on": "item", "status": 403, "code": "Directory_QuotaExceeded", "message": "Full."}
    desk.world.set_faults(parse_document([fault], 0))
    answer = desk.batch(make_item(1))[1]["responses"][0]
    assert (answer["status"], answer["body"]["error"]["code"]) == (403, "Directory_QuotaExceeded")
