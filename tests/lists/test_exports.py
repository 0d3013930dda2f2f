"""Every export of the collection is read as it was meant, or refused with a sentence that helps."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tasks.errors import InputError
from tasks.lists.ambiguities import Ambiguity
from tasks.lists.guest_list import GuestList
from tasks.lists.options import ListOptions
from tasks.rows.row import BadRow, ValidRow
from tests.lists.exports import EXPORTS, Export


def read(export: Export, options: ListOptions) -> tuple[GuestList, list[ValidRow | BadRow]]:
    """Read an export to its end."""
    guests = GuestList(io.BytesIO(export.data), "list", options=options)
    try:
        return guests, list(guests.rows())
    finally:
        guests.close()


def check(export: Export, options: ListOptions) -> None:
    """Read it and compare."""
    guests, rows = read(export, options)
    good: list[dict[str, Any]] = [row.row for row in rows if isinstance(row, ValidRow)]
    assert [row.line for row in rows if isinstance(row, BadRow)] == list(export.bad)
    assert len(good) == len(export.rows), good
    for row, wanted in zip(good, export.rows, strict=True):
        if isinstance(wanted, tuple):
            assert (row["email"], row.get("display_name", "")) == wanted
        else:
            assert row == wanted
    described = "\n".join(text for _, text in guests.describe(with_sample=True))
    for words in export.described:
        assert words in described
    assert export.warned in " ".join(guests.warnings)
    if good:
        assert good[0]["email"] in described or any(not str(row.get("display_name", "")).isascii() for row in good)


@pytest.mark.parametrize(
    "export", [export for export in EXPORTS if export.rows and not export.asked], ids=lambda e: e.name
)
def test_it_is_read_as_it_was_meant(export: Export) -> None:
    """Encoding, separator, headings and cells are recognised."""
    check(export, export.options)


@pytest.mark.parametrize("export", [export for export in EXPORTS if export.asked], ids=lambda export: export.name)
def test_what_nobody_can_know_is_asked(export: Export) -> None:
    """The refusal names the option that decides, and the right answer leads to the right rows."""
    with pytest.raises(Ambiguity) as caught:
        read(export, export.options)
    assert "--" in str(caught.value)
    assert str(caught.value).endswith(".")
    assert caught.value.question.endswith("?")
    labels = [choice.label for choice in caught.value.choices]
    assert set(export.asked) <= set(labels), labels
    answer = labels.index(export.asked[export.answer - 1])
    check(export, caught.value.choices[answer].options)


@pytest.mark.parametrize("export", [export for export in EXPORTS if export.refused], ids=lambda export: export.name)
def test_what_cannot_be_read_is_refused_in_words(export: Export) -> None:
    """One sentence that says what is wrong and what to do, without an address."""
    with pytest.raises(InputError) as caught:
        read(export, export.options)
    sentence = str(caught.value)
    for words in export.refused:
        assert words in sentence
    assert "@" not in sentence
    assert "\n" not in sentence
    assert not isinstance(caught.value, Ambiguity)


def test_the_collection_is_one() -> None:
    """Each export has a name of its own and one of three ends."""
    assert len({export.name for export in EXPORTS}) == len(EXPORTS) >= 40
    for export in EXPORTS:
        assert bool(export.rows) != bool(export.refused), export.name


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize(
    "export", [export for export in EXPORTS if export.rows and not export.asked][::4], ids=lambda e: e.name
)
def test_a_pipe_gives_the_same(export: Export, size: int) -> None:
    """However the bytes arrive, workbooks included."""
    whole = io.BytesIO(export.data)

    class Dripping:
        def read(self, most: int, /) -> bytes:
            return whole.read(min(size, most))

    guests = GuestList(Dripping(), "list", options=export.options)
    assert list(guests.rows()) == read(export, export.options)[1]
    guests.close()
