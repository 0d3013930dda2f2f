"""A row of a root says which operation its guest goes on to."""

from __future__ import annotations

import io

import pytest

from tasks.asked_stages import find_asked, find_stages
from tasks.errors import InputError
from tasks.lists.guest_list import GuestList
from tasks.rows.fields import FIELDS, OUTCOME_COLUMNS
from tasks.rows.row import BadRow, ValidRow, validate_defaults, validate_record
from tests.configs import build_connection
from worker.ledger.model import STAGES_DONE, Options
from worker.operations.operation import THEN, Operation, find_targets
from worker.operations.registry import OPERATIONS

ALONE = [operation for operation in OPERATIONS.values() if operation.alone]
PEOPLE = {"email": "a@b.example"}


@pytest.mark.parametrize("operation", ALONE, ids=lambda one: one.name)
def test_a_row_that_names_an_operation_asks_for_it(operation: Operation) -> None:
    """One name or a list of them; done before by an earlier run, it is not asked for again."""
    row = {**PEOPLE, THEN: operation.name}
    assert find_targets(operation, row, Options()) == ("",)
    assert find_targets(operation, {**PEOPLE, THEN: ["other", operation.name]}, Options()) == ("",)
    assert find_targets(operation, {**row, STAGES_DONE: [operation.name]}, Options()) == ()


@pytest.mark.parametrize("row", [PEOPLE, {**PEOPLE, THEN: "other"}, {**PEOPLE, THEN: ["other"]}, {**PEOPLE, THEN: ""}])
def test_no_other_row_asks_for_it(row: dict[str, str | list[str]]) -> None:
    """Nor one whose words only begin alike."""
    assert [one.name for one in ALONE if find_targets(one, row, Options())] == []


def test_an_invitation_leads_to_nothing_that_is_done_for_its_own_reasons() -> None:
    """Whatever its rows say; a root that leads to it may have it on every connection."""
    invite, connection = OPERATIONS["invite"], build_connection()
    stages = find_stages(connection, invite)
    assert stages
    assert not [one.name for one in stages if one.alone]
    assert find_asked(stages, {**PEOPLE, THEN: [one.name for one in ALONE]}, Options()) == {}
    assert all(one.follows(connection) for one in ALONE)


def test_where_a_row_goes_on_to_comes_with_no_list_and_no_message() -> None:
    """It is no field of a row, no default, and no column of results that are fed back."""
    assert THEN not in (*FIELDS, *OUTCOME_COLUMNS)
    refused = validate_record({**PEOPLE, THEN: "delete"}, 1)
    assert isinstance(refused, BadRow)
    assert "then is not a field" in str(refused)
    with pytest.raises(InputError):
        validate_defaults({THEN: "delete"})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("guests.csv", "email,then\na@b.example,delete\n"),
        ("guests.jsonl", '{"email": "a@b.example", "then": "delete"}\n'),
        ("guests.jsonl", '{"email": "a@b.example", "then": ["delete"]}\n'),
    ],
)
def test_a_list_with_such_a_column_is_read_without_it(path: str, text: str) -> None:
    """In every format."""
    rows = GuestList(io.BytesIO(text.encode()), path, path=path).rows()
    assert [row.row for row in rows if isinstance(row, ValidRow)] == [PEOPLE]
