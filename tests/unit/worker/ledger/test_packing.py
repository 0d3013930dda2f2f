from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from worker.ledger import packing
from worker.ledger.model import FINAL, Outcome, RowState

_values = st.one_of(st.text(max_size=20), st.booleans(), st.lists(st.text(max_size=5), max_size=3))
_rows = st.lists(
    st.dictionaries(st.sampled_from(("display_name", "message", "cc", "send_message", "groups", "ref")), _values).map(
        lambda more: {"email": "a@b.c", **more}
    ),
    min_size=1,
    max_size=30,
)


def _outcome(index: int, letter: RowState, *, link: str = "") -> Outcome:
    return Outcome(index, letter, user_id=f"u{index}", code="c", message="Wörter", attempts=2, at_ms=7, redeem_url=link)


@given(_rows)
def test_rows_come_back_as_they_went_in(rows: list[dict[str, object]]) -> None:
    """Whatever columns each row has."""
    assert packing.unpack_rows(packing.pack_rows(rows)) == rows


def test_only_outcomes_that_are_final_are_kept() -> None:
    """A row in doubt or pending again has no outcome yet; the links go elsewhere."""
    outcomes = [_outcome(i, letter, link="https://x") for i, letter in enumerate(RowState)]
    kept = packing.unpack_outcomes(packing.pack_outcomes(outcomes))
    assert {o.letter.value for o in kept} == FINAL
    assert all(o.redeem_url == "" for o in kept)
    assert {o.index: (o.user_id, o.code, o.message, o.attempts, o.at_ms) for o in kept} == {
        o.index: (o.user_id, o.code, o.message, o.attempts, o.at_ms) for o in outcomes if o.letter.value in FINAL
    }
    assert packing.pack_outcomes([_outcome(0, RowState.IN_DOUBT)]) == b""


@given(
    st.lists(
        st.tuples(
            st.one_of(st.uuids().map(str), st.uuids().map(lambda u: str(u).upper()), st.text(max_size=40)),
            st.one_of(st.just(""), st.uuids().map(str), st.text("0123456789abcdef-", min_size=36, max_size=36)),
        ),
        min_size=1,
        max_size=25,
    ),
    st.booleans(),
)
def test_ids_come_back_to_the_letter(ids: list[tuple[str, str]], for_now: bool) -> None:
    """Whether they are GUIDs as Graph writes them, which are packed as bytes, or anything else."""
    outcomes = [Outcome(i, RowState.DONE, user_id=u, invitation_id=v) for i, (u, v) in enumerate(ids)]
    assert packing.unpack_outcomes(packing.pack_outcomes(outcomes, for_now=for_now)) == outcomes


def test_a_lone_outcome_of_the_first_row_keeps_its_place() -> None:
    """Its index is 0, and a column of zeros is left out."""
    (back,) = packing.unpack_outcomes(packing.pack_outcomes([Outcome(0, RowState.DONE)]))
    assert back == Outcome(0, RowState.DONE)


def test_links_are_packed_by_row() -> None:
    """Only those of final outcomes; nothing at all where there is none."""
    outcomes = [_outcome(3, RowState.DONE, link="https://x/3"), _outcome(4, RowState.FAILED)]
    assert packing.unpack_links(packing.pack_links(outcomes)) == {3: "https://x/3"}
    assert packing.pack_links([_outcome(1, RowState.FAILED)]) == b""


def test_a_finished_chunk_keeps_what_may_be_needed_again() -> None:
    """All of a row that failed or stayed in doubt, of the others what the results show."""
    row = {"email": "a@b.c", "display_name": "A", "ref": "r", "message": "m"}
    outcomes = [_outcome(0, RowState.DONE), _outcome(1, RowState.FAILED), _outcome(2, RowState.LEFT_IN_DOUBT)]
    rows, back = packing.unpack_finished(packing.pack_finished([row, row, row], outcomes))
    assert rows == [{"email": "a@b.c", "display_name": "A", "ref": "r"}, row, row]
    assert [o.letter for o in back] == [o.letter for o in outcomes]
    assert packing.unpack_finished(packing.pack_finished([row], [])) == ([rows[0]], [])
