import pytest

from tasks.spreadsheet import escape_cell, unescape_cell


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@x", "\t=1", "\r1", "\n1", "＝1", "＋1", "－1", "＠1", " =1", "'=1", "''=1"]
)
def test_formulas_get_an_apostrophe(text: str) -> None:
    """Whatever a spreadsheet could run begins with an apostrophe, and comes back exactly."""
    assert escape_cell(text) == f"'{text}"
    assert unescape_cell(escape_cell(text)) == text


@pytest.mark.parametrize("text", ["", "'", "Ann", "O'Neill", "'quoted'", "a=b", "1-2", " Ann", "ann@a.example"])
def test_other_text_is_left_alone(text: str) -> None:
    """Apostrophes that people wrote are not taken away."""
    assert escape_cell(text) == text
    assert unescape_cell(text) == text
