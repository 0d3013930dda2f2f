from __future__ import annotations

import pytest

from config.console import Producer
from console.access.viewer import Kind, Role, Viewer, of_producer
from worker.ledger.approval import Person


def test_each_role_holds_those_before_it() -> None:
    """view < submit < approve < operate."""
    assert [role.word for role in sorted(Role)] == ["view", "submit", "approve", "operate"]
    viewer = Viewer(Kind.PERSON, Role.APPROVE, Person("ada", "desk"))
    assert [viewer.can(role) for role in Role] == [True, True, True, False]


@pytest.mark.parametrize(
    ("words", "role"),
    [
        (["view"], Role.VIEW),
        (["submit", "view", "operate"], Role.OPERATE),
        (["Operate", "admin", 7, None], None),
        ([], None),
    ],
)
def test_the_highest_app_role_counts(words: list[object], role: Role | None) -> None:
    """A role that is not spelt as the app's manifest has it is none."""
    assert Role.highest(words) is role


def test_a_producer_sees_its_own_jobs_and_uses_what_it_is_bound_to() -> None:
    """Everybody else sees all of them."""
    hr = Producer.model_validate({"name": "hr", "token": "env:HR", "connections": "contoso"})
    producer = of_producer(hr)
    assert [producer.can(role) for role in Role] == [True, True, False, False]
    assert producer.actor == "producer hr"
    assert producer.sees(producer.to_info())
    assert not producer.sees({"by": "ada", "host": "desk"})
    assert not producer.sees({"producer": "crm"})
    assert producer.refusal("contoso", "invite") == ""
    assert producer.refusal("fabrikam") == "connection: the producer hr may not use a connection of that name."
    assert producer.refusal("contoso", "delete") == "operation: the producer hr may not ask for delete."
    viewer = Viewer(Kind.PERSON, Role.VIEW, Person("ada", "desk"))
    assert viewer.sees({"producer": "crm"})
    assert viewer.refusal("fabrikam", "delete") == ""
