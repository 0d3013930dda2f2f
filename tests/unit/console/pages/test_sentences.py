"""What usher says most often of rows is said in the reader's language; the rest is left as it
is.
"""

from __future__ import annotations

import pytest

from console.pages.language import load_words
from console.pages.sentences import translate
from tasks.rows.row import BadRow, validate_record

GERMAN = load_words("de").gettext


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("is missing", "fehlt"),
        ("is not an e-mail address: it has no @", "ist keine E-Mail-Adresse: sie hat kein @"),
        (
            "Not sent: line 4: email is not an e-mail address: it has no @.",
            "Nicht gesendet: Zeile 4: email ist keine E-Mail-Adresse: sie hat kein @.",
        ),
        ("The same address as row 5, which is the one that counts.", "Dieselbe Adresse wie Zeile 5, die zählt."),
    ],
)
def test_a_known_sentence_is_translated_with_what_it_names(sentence: str, said: str) -> None:
    """Reasons inside of sentences too."""
    assert translate(sentence, GERMAN) == (said, True)


@pytest.mark.parametrize("sentence", ["Graph says something new.", "", "is missing " * 200, "%(why)s", "100 % of them"])
def test_another_sentence_stays_as_it_is(sentence: str) -> None:
    """Nothing is guessed, and nothing in it is taken for a pattern."""
    assert translate(sentence, GERMAN) == (sentence, False)


def test_a_field_is_named_as_the_page_names_it() -> None:
    """Whoever has no shell is told of no option of the command."""
    told, _ = translate("--accept-bad sends the good rows all the same; --unknown stays.", GERMAN)
    assert told == "“Send the good rows even where many are bad” sends the good rows all the same; --unknown stays."


@pytest.mark.parametrize(
    "email", ["", "x", "a@@b.example", "a b@c.example", "@c.example", "a@", "a@b", "A <a@b.example>"]
)
def test_common_mistakes_are_told_in_german(email: str) -> None:
    """The sentences are those that reading a list makes: one that is worded anew here loses its
    German.
    """
    row = validate_record({"email": email}, 1)
    assert isinstance(row, BadRow)
    assert translate(row.reason, GERMAN)[1], row.reason
