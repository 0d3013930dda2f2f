import pytest

from tasks.errors import InputError
from tasks.rows.named import add_named, check_named
from tasks.rows.row import BadRow, ValidRow
from worker.ledger.model import STAGES_DONE

EMAIL = "ann@partner.example"


def test_what_is_named_for_all_rows_comes_beside_what_a_row_names() -> None:
    """Each name once, the row's own first; a name is not taken apart."""
    named = check_named({"groups": ("IT", "Finance, Oslo", "IT"), "teams": ()})
    assert named == {"groups": ["IT", "Finance, Oslo"]}
    rows = [ValidRow(1, 2, {"email": EMAIL, "groups": ["HR", "IT"]}), ValidRow(2, 3, {"email": EMAIL})]
    assert [row.row for row in add_named(rows, named) if isinstance(row, ValidRow)] == [
        {"email": EMAIL, "groups": ["HR", "IT", "Finance, Oslo"]},
        {"email": EMAIL, "groups": ["IT", "Finance, Oslo"]},
    ]


def test_a_group_that_is_named_anew_is_meant() -> None:
    """Of a row of results what is done is not done again, but for what the command names."""
    row = ValidRow(1, 2, {"email": EMAIL, "groups": ["HR"], STAGES_DONE: ["profile", "groups"]})
    assert [*add_named([row], {"groups": ["IT"]})] == [
        ValidRow(1, 2, {"email": EMAIL, "groups": ["IT"], STAGES_DONE: ["profile"]})
    ]


def test_more_sponsors_than_a_guest_may_have_are_a_bad_row() -> None:
    """Nobody decides which of them counts."""
    row = ValidRow(3, 7, {"email": EMAIL, "sponsors": [f"s{n}@contoso.example" for n in range(5)]})
    (bad,) = add_named([row], {"sponsors": ["eva@contoso.example"]})
    assert isinstance(bad, BadRow)
    assert str(bad) == "line 7: sponsors names 6, and at most 5 are possible, with those given for all rows"
    with pytest.raises(InputError, match="--sponsor names 6, and at most 5 are possible"):
        check_named({"sponsors": [f"s{n}" for n in range(6)]})
