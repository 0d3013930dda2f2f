"""Which domains of a list look like a slip of the pen, and which are private mail providers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rows.domain_slips import describe_domains, is_one_slip


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmai.com", "gmail.com"),
        ("gmaill.com", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("outlok.com", "outlook.com"),
        ("gmail.com", ""),
        ("mail.com", ""),  # a provider of its own
        ("gmy.de", ""),  # too short to say
        ("fabrikam.example", ""),
    ],
)
def test_slips_of_well_known_providers(domain: str, meant: str) -> None:
    """One character too many, too few, wrong, or two that changed places."""
    assert [note.looks_like for note in describe_domains({domain: 1})] == [meant]


def test_slips_of_the_lists_own_domains_and_of_the_tenants() -> None:
    """A small domain beside a large one of the list; the large one is no slip of the small one."""
    counts = {"fabrikam.com": 200, "fabirkam.com": 2, "fabrikam.dk": 3, "fabrikam.de": 40, "contosoo.com": 1}
    notes = {note.domain: note.looks_like for note in describe_domains(counts, {"contoso.com"})}
    assert notes == {
        "fabrikam.com": "",
        "fabirkam.com": "fabrikam.com",
        "fabrikam.dk": "",
        "fabrikam.de": "",
        "contosoo.com": "contoso.com",
    }


def test_the_largest_first_and_private_ones_named() -> None:
    """By rows, then by name."""
    notes = describe_domains({"b.example": 1, "a.example": 1, "gmail.com": 5})
    assert [(note.domain, note.rows, note.private) for note in notes] == [
        ("gmail.com", 5, True),
        ("a.example", 1, False),
        ("b.example", 1, False),
    ]


@given(st.text("abc.", max_size=8), st.text("abc.", max_size=8))
def test_one_slip_is_the_distance_of_one(text: str, other: str) -> None:
    """As by trying every slip."""
    assert is_one_slip(text, other) == (text != other and other in _slips(text))


def _slips(text: str) -> set[str]:
    cuts = [(text[:i], text[i:]) for i in range(len(text) + 1)]
    return {
        *(a + b[1:] for a, b in cuts if b),
        *(a + c + b for a, b in cuts for c in "abc."),
        *(a + c + b[1:] for a, b in cuts if b for c in "abc."),
        *(a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1),
    }
