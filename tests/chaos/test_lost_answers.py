"""Answers that get lost after Graph did its work: every row has one outcome, nobody is mailed
twice, nobody misreported.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.sites import Site
from worker.ledger.model import Counts

OFTEN = (
    "lost@batch=1/12,504-after@batch=1/13,truncated@batch=1/11,html-200@batch=1/14,"
    "504@item@invite=0.02,half@item@invite=0.02"
)
"""For few rows: each kind strikes several times."""
SELDOM = "lost=0.01,504-after=0.01,truncated=0.01,html-200=0.01,504-after@item=0.01,half@item=0.01"
"""One in a hundred of each, look-ups included."""

SIZES = [
    pytest.param(1000, OFTEN, id="1000"),
    pytest.param(5000, SELDOM, id="5000", marks=[pytest.mark.long, pytest.mark.timeout(400)]),
]


async def run(site: Site, rows: int, faults: str) -> tuple[Counts, dict[str, dict[str, Any]]]:
    """Invite so many people under these faults. Returns the job's counts and its results by
    address.
    """
    site.sandbox.ask("latency", {"latency": "0.01", "replication": "0-2.5"})  # longer than the first look-up waits
    site.sandbox.ask("faults", {"spec": faults})
    site.start_worker(16)
    job = await site.desk.load(rows)
    view = await site.ended(job, 60 + rows / 20)
    struck = {f"{f['fault']}@{f['on'][0]}": f["fired"] for f in site.sandbox.ask("faults")}
    assert all(struck.values()), f"a fault that never struck proves nothing: {struck}"
    return view.counts, {record["email"]: record for record in await site.results(job)}


def mails_of(site: Site) -> Counter[str]:
    """How many mails each address got, as the sandbox wrote them down."""
    return Counter(mail["to"] for mail in site.sandbox.ask("mails"))


def heard_of(site: Site) -> set[str]:
    """The addresses whose invitation was answered, and the answer arrived whole."""
    return {
        item[3]
        for request in site.sandbox.ask("requests")
        if request["operation"] in ("batch", "invite") and request["status"] == 200
        if request["fault"] not in ("truncated", "html-200")
        for item in request["items"] or ()
        if item[1] == "invite" and item[2] == 201
    }


@pytest.mark.parametrize(("rows", "faults"), SIZES)
async def test_with_a_directory_everybody_is_invited_once(site: Site, rows: int, faults: str) -> None:
    """Whatever was lost is looked up: no row in doubt, none failed, each mailed once."""
    counts, results = await run(site, rows, faults)
    assert counts == Counts(rows=rows, done=rows)
    assert {record["status"] for record in results.values()} == {"invited"}
    assert mails_of(site) == Counter(results.keys())
    site.assert_all_mailed_once(rows)
    assert all(record["user_id"] for record in results.values())


@pytest.mark.parametrize(("rows", "faults"), SIZES)
async def test_without_one_just_the_unheard_are_in_doubt(site: Site, rows: int, faults: str) -> None:
    """An app that may only invite: a row is reported in doubt if its answer was lost, and only
    then; nothing is repeated.
    """
    site.sandbox.ask("policy", {"roles": ["User.Invite.All"]})
    counts, results = await run(site, rows, faults)
    mails, heard = mails_of(site), heard_of(site)
    in_doubt = {email for email, record in results.items() if record["status"] == "in_doubt"}
    assert in_doubt == results.keys() - heard
    assert {email for email, record in results.items() if record["status"] == "invited"} == heard
    assert counts == Counts(rows=rows, done=len(heard), in_doubt=len(in_doubt))
    assert max(mails.values()) == 1
    assert heard <= mails.keys()
    assert all(results[email]["error_message"] for email in in_doubt)
