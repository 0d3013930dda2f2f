import pytest

from tasks.rows.escaping import escape_cell, escape_own_cell, unescape_cell


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@x", "\r1", "\n1", "＝1", "＋1", "－1", "＠1", " =1", "'=1", "''=1"]
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


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("Ann;=HYPERLINK(1)", "Ann;'=HYPERLINK(1)"),
        ("Ann, =1", "Ann,' =1"),
        ("a\n@x\tb\t+y", "a\n'@x\tb\t'+y"),
        ('Ann;"=1"', 'Ann;\'"=1"'),
        ("Ann;'=1", "Ann;''=1"),
        ("=1;=2", "'=1;'=2"),
        ("\t=1", "'\t'=1"),
        (" '=1", "' '=1"),
    ],
)
def test_formulas_behind_a_separator_get_an_apostrophe_too(text: str, escaped: str) -> None:
    """Where Excel splits at another separator, they would stand at the beginning of a cell."""
    assert escape_cell(text) == escaped
    assert unescape_cell(escaped) == text


@pytest.mark.parametrize(
    "text", ["", " ", "+49 30 1", "Tel. 1, +49 30 2", "-", "Ann; -5", "'=1", "Ann;'=1", "O'Neill", "\n"]
)
def test_numbers_and_escaped_cells_of_somebodys_own_list_stay(text: str) -> None:
    """A telephone number is no formula, behind a separator neither."""
    assert escape_own_cell(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"), [("=1", "'=1"), ("+1+cmd", "'+1+cmd"), ("a;=1;+49;=2", "a;'=1;+49;'=2"), (" '=1", "' '=1")]
)
def test_formulas_of_somebodys_own_list_do_not(text: str, escaped: str) -> None:
    """They came from outside as well."""
    assert escape_own_cell(text) == escaped


@pytest.mark.parametrize("piece", ["\t", "\t'", ";'", "' ", '\n"', " ", ";=", "\t=", "+49,"])
def test_it_takes_no_longer_than_the_cell(piece: str) -> None:
    """However many blanks, apostrophes and separators follow each other: a hundred thousand took
    hours.
    """
    text = piece * 100_000
    assert unescape_cell(escape_cell(text)) == text
    assert unescape_cell(escape_own_cell(text)) == unescape_cell(text)
