"""examples/guests.csv shows every kind of outcome, and addresses nobody who exists."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from tasks.rows.languages import parse_language
from tasks.rows.mail_syntax import NotAnAddress, parse_address
from worker.addresses import fold_address

ROOT = Path(__file__).resolve().parents[2]
OWN = "priya@contoso.example"
KNOWN = "margaret@partner.example"
BLOCKED = "ruth.abel@blocked.example"
MALFORMED = "tariq.benali(at)example.com"
FICTITIOUS = re.compile(r"@(example\.(com|org|net)|[a-z-]+\.example)\Z")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """The sample's rows."""
    with (ROOT / "examples/guests.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_sample_has_a_hundred_rows_each_with_its_own_ref(rows: list[dict[str, str]]) -> None:
    """A hundred people, each to be found again by `ref`."""
    assert [row["ref"] for row in rows] == [f"P-{number:03}" for number in range(1, 101)]


def test_exactly_one_row_is_malformed(rows: list[dict[str, str]]) -> None:
    """One address is no address, and the reason can be shown."""
    bad = []
    for row in rows:
        try:
            parse_address(row["email"])
        except NotAnAddress:
            bad.append(row["email"])
    assert bad == [MALFORMED]


def test_exactly_one_row_is_a_duplicate_once_folded(rows: list[dict[str, str]]) -> None:
    """The duplicate is spelled differently, so that folding shows."""
    counts = Counter(fold_address(row["email"]) for row in rows if row["email"] != MALFORMED)
    assert sorted(counts.values())[-2:] == [1, 2]
    assert len({row["email"] for row in rows}) == 100


def test_one_row_each_is_refused_or_known_already(rows: list[dict[str, str]]) -> None:
    """One colleague, one guest who is there already, one blocked domain; no other row of those
    domains.
    """
    for address in (OWN, KNOWN, BLOCKED):
        domain = address.partition("@")[2]
        assert [row["email"] for row in rows if row["email"].casefold().endswith(f"@{domain}")] == [address]


def test_sandbox_knows_what_the_sample_counts_on() -> None:
    """The sandbox's tenant owns contoso.example, refuses blocked.example and has the known
    guest.
    """
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "sandbox").glob("*.py"))
    for word in ("contoso", "blocked.example", KNOWN):
        assert word in source, word


def test_nobody_in_the_sample_exists(rows: list[dict[str, str]]) -> None:
    """Only names that RFC 2606 and RFC 6761 reserve: no mail of a rehearsal can reach anyone."""
    for row in rows:
        if row["email"] != MALFORMED:
            assert FICTITIOUS.search(row["email"].casefold()), row["email"]


def test_sample_is_varied(rows: list[dict[str, str]]) -> None:
    """Names of many scripts in NFC, known languages, messages with a comma and a quotation mark."""
    scripts = {
        unicodedata.name(letter).split()[0] for row in rows for letter in row["display_name"] if letter.isalpha()
    }
    assert len(scripts) >= 20
    languages = {row["language"] for row in rows if row["language"]}
    assert len(languages) >= 60
    assert all(parse_language(language) for language in languages)
    assert all(unicodedata.is_normalized("NFC", value) for row in rows for value in row.values())
    assert any('"' in row["message"] and "," in row["message"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        ((), {}, "usage: python portal.py CONNECTION ADDRESS"),
        (("contoso", "a@b.example", "Ann"), {}, "usage: python portal.py"),
        (("contoso", "a@b.example"), {}, "USHER_BROKER and USHER_RESULTS must be set"),
        (("contoso", "a@b.example"), {"USHER_BROKER": "redis://x"}, "USHER_RESULTS must be set"),
    ],
)
def test_the_portal_says_what_it_needs(arguments: tuple[str, ...], variables: dict[str, str], words: str) -> None:
    """One line, no traceback."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("USHER_")} | variables
    argv = [sys.executable, "-P", str(ROOT / "examples/portal/portal.py"), *arguments]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n"), words in done.stderr) == (1, 1, True), done.stderr
