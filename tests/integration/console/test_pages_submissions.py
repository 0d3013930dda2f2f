"""A list through several connections, in a real Chromium: chosen by tag, planned tenant by tenant,
sent, followed, moved and fetched on one page.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_selenium_python import Axe

from tests.integration.console.readers import Reader, run_pages
from tests.processes import wait_until
from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher


@pytest.fixture(scope="module")
def pages_usher(folder: Path) -> Iterator[Usher]:
    """A whole usher with three connections; two have a tag, and one of these requires approval."""

    def tables(ready: dict[str, Any]) -> str:
        return "".join(
            connection_table(name, ready, tags=f'["{tag}"]', require_approval=approval)
            for name, tag, approval in (("adatum", "eu", ""), ("bellows", "eu", "true"), ("contoso", "us", ""))
        )

    with run_usher(folder, sandbox_options=("--quota", "off", "--replication", "0"), tables=tables) as usher:
        yield usher


def write(folder: Path, name: str, *rows: str) -> Path:
    """Write a list whose rows may name their connection."""
    file = folder / f"{name}.csv"
    file.write_text("email,connection\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return file


def lines(reader: Reader) -> dict[str, str]:
    """Return what the page says of each tenant."""
    return {line.split()[0]: line for row in reader.all("#job tbody tr") if (line := row.text.replace("\n", " "))}


def axe(reader: Reader) -> list[str]:
    """Return what keeps somebody out."""
    tool = Axe(reader.driver)
    tool.inject()
    return [found["id"] for found in tool.run()["violations"]]


def test_list_goes_to_the_tenants_of_a_tag(reader: Reader, pages_usher: Usher, folder: Path) -> None:
    """The plan has a line a tenant; the page follows both, says why one waits, links to each, and
    ends with one file, by whoever may approve it; the list of jobs names the submission.
    """
    file = write(folder, "partners", "ann@tags.example,all", "bob@tags.example,adatum", "eve@tags.example,contoso")
    reader.send(file)
    reader.choose("connection", "tag:eu")
    reader.press("Look what would happen")
    reader.find("#would")
    plan = {row.text.split()[0]: row.text.split()[1:5] for row in reader.all("#would ~ .wide tr")[1:]}
    each = {"adatum": ["2", "2", "0", "0"], "bellows": ["1", "1", "0", "0"], "(none)": ["0", "0", "0", "1"]}
    assert plan == each | {"together": ["3", "3", "0", "1"]}
    reader.says("Some of these connections require approval")
    assert axe(reader) == []
    reader.press("Send 3 invitations")
    reader.find("#job")
    reader.until("the end of one", lambda: "done" in lines(reader).get("adatum", ""))
    assert "somebody other than Ada" in lines(reader)["bellows"]
    assert "contoso" not in lines(reader)
    assert axe(reader) == []
    submission = reader.path.removeprefix("/submissions/")
    reader.press("Approve 1 job")
    reader.says("somebody else must approve it", ".note.bad")
    assert all("409" in entry["message"] for entry in reader.refused())
    with run_pages(pages_usher, "second", USHER_ACTOR="Grace") as url:
        answer = requests.get(f"{url}/submissions/{submission}", timeout=60)  # without any script
        assert all(words in answer.text for words in ("adatum", "/approve", "Approve 1 job", "results.xlsx"))
        other = Reader(reader.driver, url)
        other.open(f"/submissions/{submission}")
        other.says("What is to be approved\n1 row waits. The first of them:\nbellows: ann@tags.example")
        other.says("Domains: tags.example (1)")
        other.press("Look what would become of the rows")
        looked = [row.text.split()[:3] for row in other.find("#looked").find_elements("css selector", "tbody tr")]
        assert looked == [["bellows", "would", "be"]]
        assert axe(other) == []
        other.press("Approve 1 job")
        other.until("the end of all", lambda: "done" in other.text("#now"))
        assert lines(other)["bellows"].split()[1] == "done"
        other.open(f"/submissions/{submission}")
        assert "bellows: Grace" in other.text("dl.facts")
        job = next(str(one.get_attribute("href")) for one in other.all("th a") if one.text == "bellows")
        assert "Looked at" in pages_usher.run("jobs", "show", job.rpartition("/")[2]).out
    reader.open(f"/submissions/{submission}")
    reader.press("CSV")
    results = wait_until(lambda: [*folder.glob(f"*{submission}*.csv")], 20, "the results")[0]
    rows = [*csv.DictReader(results.read_text(encoding="utf-8-sig").splitlines())]
    went = {(row["connection"], row["email"]) for row in rows if row["status"] != "failed"}
    assert went == {("adatum", "ann@tags.example"), ("adatum", "bob@tags.example"), ("bellows", "ann@tags.example")}
    reader.open("/jobs")
    assert len(reader.all(f"td a[href='/submissions/{submission}']")) == 3  # of two connections, and of nobody's row
    reader.find("th a").click()
    reader.press(f"the submission {submission}")
    reader.speak("de")
    reader.open(f"/submissions/{submission}")
    reader.says("Tenant für Tenant")
    assert not reader.refused()


def test_all_jobs_are_moved_by_one_button(reader: Reader, pages_usher: Usher, folder: Path) -> None:
    """Held by one tenant they are paused, and the rest is cancelled, in every tenant; what failed
    in one is tried again as a submission of its own.
    """
    pages_usher.run("connections", "hold", "contoso", "--reason", "a new contract")
    reader.send(write(folder, "everybody", "zoe@all.example,all", "lost@blocked.example,adatum"))
    reader.choose("connection", "all")
    reader.press("Look what would happen")
    reader.find("#would")
    reader.press("Send 3 invitations")
    reader.find("#job")
    reader.until("why one waits", lambda: "a new contract" in lines(reader).get("contoso", ""))
    reader.press("Pause all")
    reader.until("a pause", lambda: "paused" in lines(reader).get("contoso", ""))
    reader.press("Cancel the rest of all")
    reader.until("the end", lambda: not reader.all("form[action$='/cancel']") and "cancelled" in reader.text("#now"))
    assert lines(reader)["adatum"].split()[1] == "done"
    before = reader.path
    reader.press("Try the failed rows again")
    reader.until("the other one", lambda: reader.path != before and "done" in reader.text("#now"))
    assert [*lines(reader)] == ["adatum"]
    assert not reader.refused()
