"""What is wrong in a request is told in usher's own words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any, cast

import pytest
from pydantic import BaseModel, Field, ValidationError

from console.faults import find_faults
from console.v1.fields import as_fields
from console.v1.order import ListOrder, RowsOrder
from console.v1.told import risks_for

ROW = {"email": "ann@partner.example"}


class Query(BaseModel):
    """A query of a page."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 50


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (RowsOrder, {"connection": "c2", "rows": [ROW], "foo": 1}, ("foo", "Is no field that is known here.")),
        (RowsOrder, {"connection": "c2"}, ("rows", "Is missing.")),
        (RowsOrder, {"connection": "c2", "rows": []}, ("rows", "Must have 1 or more of them, and has 0.")),
        (RowsOrder, {"connection": "c2", "rows": "x"}, ("rows", "Must be a list.")),
        (RowsOrder, {"connection": "c2", "rows": [ROW], "pilot": 0}, ("pilot", "Must be 1 or more.")),
        (RowsOrder, {"connection": "c2", "rows": [ROW], "pilot": "few"}, ("pilot", "Must be a whole number.")),
        (RowsOrder, {"connection": "c2", "rows": [ROW], "strict": "often"}, ("strict", "Must be true or false.")),
        (RowsOrder, {"connection": "c2", "rows": [ROW], "reason": 7}, ("reason", "Must be text.")),
        (RowsOrder, {"connection": "C 2", "rows": [ROW]}, ("connection", "Is not written as such a value must be.")),
        (ListOrder, {"connection": "c2", "mapping": 3}, ("mapping", "Must be an object with fields.")),
        (ListOrder, {"connection": "c2", "name": "x" * 201}, ("name", "Must have at most 200 characters.")),
        (RowsOrder, {"rows": [ROW]}, ("", "Either connection or connections says through which it goes.")),
        (Query, {"limit": 5000}, ("limit", "Must be 1,000 or less.")),
    ],
)
def test_a_fault_is_told_in_plain_words(kind: type[BaseModel], given: dict[str, Any], said: tuple[str, str]) -> None:
    """Not in those of the library that found it, and without what was sent."""
    with pytest.raises(ValidationError) as refused:
        kind.model_validate(given)
    fault = find_faults(refused.value.errors(include_url=False, include_input=False))[0]
    assert (fault.field, fault.reason) == said


def test_a_body_that_is_no_json_has_no_row() -> None:
    """FastAPI says at which sign of it the fault lies."""
    error = {"type": "json_invalid", "loc": ("body", 12), "msg": "JSON decode error", "ctx": {"error": "Expecting"}}
    (fault,) = find_faults([error])
    assert (fault.field, fault.reason, fault.row) == ("body", "Is no JSON.", None)


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("try --pilot 5 first", "try pilot 5 first"),
        ("which --map names for email", "which mapping names for email"),
        ("--accept-bad sends the good rows", "accept_bad sends the good rows"),
        ("or use --no-send-message", "or use send_message false"),
        ("a list of its own -- so", "a list of its own -- so"),
    ],
)
def test_an_option_is_called_as_the_field_is(sentence: str, said: str) -> None:
    """A program has no command line."""
    assert as_fields(sentence) == said


class Installation:
    """Settings of which two connections share a tenant."""

    def settings(self) -> Installation:
        """Return itself."""
        return self

    def tell_twins(self, connections: list[str]) -> list[str]:
        """Say so."""
        return ["contoso and far have one tenant."]


@pytest.mark.parametrize(("bound", "said"), [(None, 2), (object(), 1)])
def test_a_producer_is_told_nothing_of_other_connections(bound: object, said: int) -> None:
    """Whoever belongs to the installation is."""
    services, viewer = cast("Any", Installation()), cast("Any", SimpleNamespace(bound=bound))
    risks = ["contoso and far have one tenant.", "1 row asks for a member: --map user_type=."]
    told = risks_for(services, viewer, ["contoso"], risks)
    assert (len(told), told[-1]) == (said, "1 row asks for a member: mapping user_type=.")
