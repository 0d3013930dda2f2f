"""A person is taken out of other guests' rows, in whichever column they are named."""

from __future__ import annotations

from worker.people.forget import without_person


def test_a_person_leaves_every_column_of_another_guests_row() -> None:
    """No list of columns decides it: a column that is added later is looked at as well."""
    row = {"email": "a@b.example", "cc": "Ada@x.example", "sponsors": ["ada@x.example", "1"], "ref": "ada@x.example"}
    assert without_person(row, "ada@x.example") == {"email": "a@b.example", "sponsors": ["1"]}


def test_a_row_that_does_not_name_the_person_is_left_alone() -> None:
    """The same object comes back, so that its chunk is not written anew."""
    row = {"email": "a@b.example", "message": "Ask ada@x.example.", "send_message": True}
    assert without_person(row, "ada@x.example") is row


def test_a_row_is_theirs_by_the_address_that_they_are_given_too() -> None:
    """Who has moved is one person."""
    row = {"email": "ada@old.example", "new_email": "Ada@new.example", "company": "X"}
    for who in ("ada@old.example", "ada@new.example"):
        assert without_person(row, who) == {"email": ""}
    assert without_person(row, "bob@new.example") is row
