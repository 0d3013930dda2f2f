"""Both spellings of an international domain are one address, whatever its letters."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from worker.addresses import fold_address, spellings

LABELS = st.text(st.characters(categories=("L", "N", "M")), min_size=1, max_size=12)
ODD_LABELS = st.text(alphabet="abcxn-0123456789\u00e9", min_size=1, max_size=14).map(lambda text: f"xn--{text}")


@given(st.text(min_size=1, max_size=8), st.lists(LABELS | ODD_LABELS, min_size=1, max_size=3))
def test_each_spelling_folds_to_the_address_it_is_asked_for(local: str, labels: list[str]) -> None:
    """Who is found under one of them is found for the row; nothing raises."""
    folded = fold_address(f"{local}@{'.'.join(labels)}.example")
    assert spellings(folded)[0] == folded
    assert {fold_address(text) for text in spellings(folded)} == {folded}
