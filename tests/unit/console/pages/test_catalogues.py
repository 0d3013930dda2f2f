"""Every text of the pages is there in every language, and what is packaged is what was
translated.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from console.pages.language import DOMAIN, LANGUAGES, WORDS

PAGES = WORDS.parent
_NAMED = re.compile(r"%\((\w+)\)s")


def _texts() -> set[str]:
    """Return all texts of templates and modules, as they stand there."""
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    options = {"templates/**.html": {"trimmed": "true"}}
    found = extract_from_dir(str(PAGES), methods, options, keywords)
    return {text if isinstance(text, str) else text[0] for _, _, text, _, _ in found}


def _catalogue(language: str) -> dict[str, Message]:
    with Path(WORDS, language, "LC_MESSAGES", f"{DOMAIN}.po").open("rb") as file:
        found = read_po(file, locale=language)
    return {message.id if isinstance(message.id, str) else message.id[0]: message for message in found if message.id}


OTHERS = [language for language in LANGUAGES if language != "en"]


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated(language: str) -> None:
    """A text that is new in a page has its translation, by `make words` and a person; none is left
    over.
    """
    catalogue = _catalogue(language)
    assert _texts() - catalogue.keys() == set()
    assert catalogue.keys() - _texts() == set()
    for message in catalogue.values():
        strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
        assert all(strings), message.id
        assert not message.fuzzy, message.id
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        for text in strings:
            assert set(_NAMED.findall(text)) == set(_NAMED.findall(ids[-1])), message.id


@pytest.mark.parametrize("language", OTHERS)
def test_the_packaged_catalogue_is_the_translated_one(language: str) -> None:
    """Nobody who installs usher compiles anything, and nobody sees yesterday's words."""
    compiled = Path(WORDS, language, "LC_MESSAGES", f"{DOMAIN}.mo").read_bytes()
    found = {_plain(message.id): _plain(message.string) for message in read_mo(io.BytesIO(compiled)) if message.id}
    assert found == {_plain(message.id): _plain(message.string) for message in _catalogue(language).values()}


def _plain(text: object) -> object:
    return tuple(text) if isinstance(text, list | tuple) else text
