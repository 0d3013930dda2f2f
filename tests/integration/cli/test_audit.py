"""What a job says of itself and what the trail keeps of it, with the real command, worker and
sandbox: also after `jobs delete`.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import socket
from typing import Any

import pytest

from tests.places import Place

LIST = "email,display_name\nann.private@partner.example,Ann Private\nbob@partner.example,Bob\nx@\n"
ME = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"


def invite(place: Place, *more: str) -> dict[str, Any]:
    """Invite the list over standard input; returns what `jobs show` says then."""
    done = place.usher("invite", "-", "-c", "contoso", "--json", *more, text=LIST)
    assert done.status == 1, done.err
    shown = place.usher("jobs", "show", done.job["job"], "--json")
    told: dict[str, Any] = shown.json
    return told


def audit(place: Place, *options: str) -> list[dict[str, Any]]:
    """What `audit list` says."""
    listed = place.usher("audit", "list", "--json", *options)
    assert listed.status == 0, listed.err
    entries: list[dict[str, Any]] = listed.json["entries"]
    return entries


def test_a_job_and_the_trail_tell_who_did_what_after_it_was_deleted(place: Place) -> None:
    """Submitter, reason, fingerprint, version; object and request ids; nothing by which a person
    could be read off.
    """
    job = invite(place, "--reason", "Asked for by carla@example.org", "--resend")
    digest = hashlib.sha256(LIST.encode()).hexdigest()
    assert (f"{job['info']['by']}@{job['info']['host']}", job["info"]["sha256"]) == (ME, digest)
    assert job["info"]["usher"] == place.usher("--version").out.split()[1]
    shown = place.usher("jobs", "show", job["job"])
    assert digest in shown.out
    results = place.usher("jobs", "results", job["job"], "--format", "jsonl").out.splitlines()
    ids = {json.loads(line)["user_id"] for line in results} - {""}
    assert (
        place.usher("connections", "hold", "contoso", "--reason", "Ann of ann.private@partner.example called").status
        == 0
    )
    assert place.usher("connections", "reopen", "contoso").status == 0
    before = audit(place, "--job", job["job"], "--rows")
    assert place.usher("jobs", "delete", job["job"], "--yes").status == 0

    path = place.folder / "audit.jsonl"
    assert place.usher("audit", "export", "-o", str(path)).status == 0
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    of_job = [line for line in lines if line.get("job") == job["job"]]
    assert {line["what"] for line in of_job} >= {"job.submitted", "row", "job.deleted"}
    assert all(line in of_job for line in before)
    submitted = next(line for line in of_job if line["what"] == "job.submitted")
    assert (submitted["by"], submitted["sha256"], submitted["reason"]) == (ME, digest, "Asked for by …@…")
    assert {line["object_id"] for line in of_job if line["what"] == "row"} - {""} == ids
    assert all(line["request_id"] for line in of_job if line["what"] == "row")
    assert [line["by"] for line in lines if line["what"] in ("connection.held", "connection.reopened")][-2:] == [ME, ME]
    for words in ("ann.private", "partner.example", "Ann Private", "carla", "redeem"):
        assert words not in path.read_text()
    again = place.usher("audit", "export", "-o", str(path))
    assert (again.status, "not overwritten" in again.err) == (2, True)


def test_one_persons_data_is_listed_and_erased_by_id(place: Place) -> None:
    """All of it, by address and by object id; afterwards nothing is known under either but what
    cannot be led back to them.
    """
    invite(place, "--resend")
    by_address = place.usher("guests", "export", "Ann.Private@partner.EXAMPLE", "--json").json
    theirs = by_address["rows"][0]
    assert theirs["submitted"]["display_name"] == "Ann Private"
    assert theirs["redeem_url"].startswith("https://")
    assert len(by_address["index"]) == 1
    assert {line["guest"] for line in by_address["audit"]} == {by_address["audit"][0]["guest"]}
    object_id = theirs["user_id"]
    assert place.usher("guests", "export", object_id, "--json").json == by_address
    told = place.usher("guests", "export", object_id)
    assert "ann.private@partner.example" in told.out
    assert "shown with --json" in told.out
    kept = audit(place, "--guest", "ann.private@partner.example")
    assert kept == audit(place, "--guest", object_id)

    done = place.usher("guests", "forget", object_id, "--json")
    assert done.status == 0, done.err
    assert done.json["rows"] >= 1
    assert done.json["audit"] == len(kept)
    assert audit(place, "--guest", "ann.private@partner.example") == []
    assert [line["guest"] for line in audit(place, "--guest", object_id)] == [""] * len(kept)
    gone = place.usher("guests", "export", "ann.private@partner.example")
    assert "holds nothing of this person" in gone.out
    mistyped = place.usher("guests", "forget", "nobody.at.all@partner.example", "--yes")
    assert (mistyped.status, "nothing was erased" in mistyped.out, "check its spelling" in mistyped.out) == (
        0,
        True,
        True,
    )
    assert audit(place, "--what", "guest.forgotten")[-1]["by"] == ME


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("guests", "export", "ann"), "Give an e-mail address, or an object id"),
        (("audit", "list", "--since", "soon"), "neither a date"),
        (("audit", "list", "--what", "nope"), 'There is no kind of entry "nope"; there are: job.submitted, '),
        (("audit", "list", "--what", "row", "--what", "job.held "), "(did you mean job.held?); there are: "),
        (("audit", "export", "-o", "trail.CSV"), "JSON lines, no table, so nothing was written to trail.CSV: name it"),
        (("audit", "export", "--what", "job.holds"), "(did you mean job.held?); there are: "),
    ],
)
def test_bad_usage_is_one_sentence(place: Place, arguments: tuple[str, ...], words: str) -> None:
    """Status 2."""
    done = place.usher(*arguments)
    assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert words in done.err


def test_a_kind_that_did_not_happen_yet_is_no_mistake(place: Place) -> None:
    """Nobody has disabled a schedule here."""
    done = place.usher("audit", "list", "--what", "schedule.disabled")
    assert (done.status, done.out, done.err) == (0, "No entries.\n", "")
