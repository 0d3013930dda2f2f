"""The real `usher invite` on a private stack, with a real worker and the sandbox: what is typed,
printed, returned.
"""

from __future__ import annotations

import csv
import re

from tests.places import JOB, Place, Typist, open_bare_place
from tests.processes import ROOT


def test_the_sample_becomes_guests(place: Place) -> None:
    """What `make demo` shows: every kind of outcome, each stage of a guest's way with own mail at
    its end, the reason beside each row that failed, status 1.
    """
    done = place.usher("invite", str(ROOT / "examples/guests.csv"), "--connection", "sandbox", "--yes")
    assert done.status == 1
    assert re.search(r"invited +9\d", done.out)
    for words in ("already guests", "skipped", "failed", "ruth.abel@blocked.example", "priya@contoso.example"):
        assert words in done.out
    for stage in (
        r"profile +\d+ changed",
        r"sponsors +\d+ set",
        r"groups +\d+ added",
        r"teams +12 added",
        r"mail +9\d mailed",
    ):
        assert re.search(stage, done.out), stage
    for words in ("“Board” takes no guests", "no group “Alumni”"):
        assert words in done.out
    assert "line 48: email" in done.err
    job = JOB.search(done.err)
    assert job is not None
    results = csv.DictReader(place.usher("jobs", "results", job[1]).out.splitlines())
    rows = {row["ref"]: row for row in results}
    first = {stage: rows["P-001"][f"{stage}_status"] for stage in ("profile", "sponsors", "groups", "teams", "mail")}
    assert first == {"profile": "done", "sponsors": "done", "groups": "done", "teams": "", "mail": "done"}
    assert (rows["P-059"]["groups_status"], rows["P-059"]["mail_status"]) == ("failed", "done")
    assert (rows["P-018"]["status"], rows["P-018"]["groups_status"]) == ("failed", "skipped")
    listed = place.usher("jobs", "list")
    assert f"{job[1]}  sandbox     done" in listed.out
    assert "Guests  Skipped  Failed" in listed.out
    shown = place.usher("jobs", "show", job[1][:5])
    assert shown.status == 0
    assert "guests.csv" in shown.out
    assert "ruth.abel@blocked.example" in shown.out


def test_the_sandboxs_guests_are_there_the_next_time() -> None:
    """The sandbox ends with the command that needed it; its guests do not, and a second run mails
    nobody again.
    """
    with open_bare_place() as place:
        assert place.usher("invite", "zoe@back.example", "-c", "sandbox", "--json").job["invited"] == 1
        place.end()
        again = place.usher("invite", "zoe@back.example", "-c", "sandbox", "--json").job
        assert (again["invited"], again["already_guest"]) == (0, 1)


def test_json_is_one_object_whose_counts_add_up(place: Place) -> None:
    """Bad rows and repeated ones included; stderr says only what somebody has to know."""
    text = "email,display_name\na@example.org,A\nA@EXAMPLE.org,A again\nnonsense,N\n"
    done = place.usher("invite", "-", "-c", "sandbox", "--json", text=text)
    assert done.status == 1
    told = done.job
    assert (told["state"], told["rows"], told["skipped"], told["failed"]) == ("done", 3, 1, 1)
    assert told["connection"] == "sandbox"
    assert isinstance(told["elapsed_s"], float)
    assert "line 4: email" in done.err
    assert f"Job {told['job']}" in done.err
    again = place.usher("jobs", "watch", told["job"], "--json")
    assert (again.status, again.job | {"elapsed_s": 0}) == (1, told | {"elapsed_s": 0})


def test_addresses_are_rows(place: Place) -> None:
    """One or several, and every row well is status 0."""
    done = place.usher("invite", "b@example.org", "c@example.org", "-c", "sandbox", "--json")
    assert (done.status, done.job["rows"], done.job["invited"]) == (0, 2, 2)


def test_a_dry_run_sends_nothing_and_leaves_nothing(place: Place) -> None:
    """The plan is what it shows."""
    before = place.usher("jobs", "list").out
    done = place.usher("invite", "d@example.org", "-c", "contoso", "--dry-run")
    assert done.status == 0
    assert "1 invitation" in done.out
    assert "Sandbox (Contoso)" in done.out
    told = place.usher("invite", "d@example.org", "x@", "-c", "contoso", "--dry-run", "--json")
    assert told.status == 1
    assert (told.json["job"], told.json["rows"], told.json["failed"], told.json["plan"]["to_send"]) == (None, 2, 1, 1)
    assert place.usher("jobs", "list").out == before


def test_a_pilot_sends_the_first_rows_and_pauses(place: Place) -> None:
    """Bad rows further down do not count as the pilot's; without a terminal nobody is asked."""
    rows = "email\n" + "".join(f"pilot{n}@fabrikam.example\n" for n in range(30)) + "x\ny\nz\npilot0@fabrikam.example\n"
    done = place.usher("invite", place.write("pilot.csv", rows), "-c", "sandbox", "--pilot", "4", "--json")
    told = done.job
    assert (done.status, told["state"], told["invited"]) == (3, "paused", 4)
    assert (told["failed"], told["skipped"], told["pending"]) == (3, 1, 26)
    done = place.usher("jobs", "resume", told["job"], "--json")
    assert (done.status, done.job["invited"]) == (1, 30)


def test_a_real_connection_is_asked_about_once(place: Place) -> None:
    """Anything but a yes sends nothing; a yes sends."""
    typist = Typist(place, "invite", "ask1@fabrikam.example", "ask2@fabrikam.example", "-c", "contoso")
    asked = typist.read_until("[y/N]")
    assert "Send 2 invitations with 2 e-mails to the tenant Sandbox (Contoso)" in asked.replace("\r\n", " ")
    typist.type("\n")
    done = typist.end()
    assert (done.status, "nothing was sent" in done.out) == (2, True)
    typist = Typist(place, "invite", "ask1@fabrikam.example", "ask2@fabrikam.example", "-c", "contoso")
    typist.read_until("[y/N]")
    typist.type("y\n")
    done = typist.end()
    assert (done.status, done.out.count("[y/N]")) == (0, 1)
    typist = Typist(place, "invite", "ask3@fabrikam.example", "-c", "contoso")
    typist.read_until("[y/N]")
    typist.type("\x03")
    assert typist.end().status == 2
    typist = Typist(place, "invite", "ask3@fabrikam.example", "-c", "contoso", "--yes")
    done = typist.end()
    assert (done.status, "[y/N]" in done.out) == (0, False)


def test_a_plan_announces_no_mail_to_who_is_there(place: Place) -> None:
    """Invited a moment ago, in the tenant before, or a colleague: each is told of, and the rest is
    what is sent.
    """
    news = ("new1@fabrikam.example", "new2@fabrikam.example")
    assert place.usher("invite", *news, "-c", "contoso", "--yes").status == 0
    people = (*news, "new3@fabrikam.example", "margaret@partner.example", "ada@contoso.example")
    done = place.usher("invite", *people, "-c", "contoso", "--yes")
    for words in ("3 in the tenant already, or invited lately", "1 would be refused", "To send  1 invitation"):
        assert re.search(rf"^ *{words}$", done.err, re.MULTILINE), done.err
    assert re.search(r"^E-mails +1, sent by Microsoft$", done.err, re.MULTILINE)
    assert re.search(r"^  invited +1\n  already guests +1\n  skipped +2\n  failed +1$", done.out, re.MULTILINE)
    again = place.usher("invite", *news, "-c", "contoso", "--yes")
    assert re.search(r"^E-mails +none$", again.err, re.MULTILINE)
    long = place.usher("invite", place.guests(201, "long"), "-c", "contoso", "--yes", "--pilot", "1")
    assert re.search(r"^E-mails +at most 201, sent by Microsoft; guests", long.err, re.MULTILINE)
    cancelled = JOB.search(long.err)
    assert cancelled is not None
    place.usher("jobs", "cancel", cancelled[1])


def test_many_rows_want_the_connections_name(place: Place) -> None:
    """Above 500 a mere y is no answer; it is asked once more, and then no more."""
    typist = Typist(place, "invite", place.guests(501, "many"), "-c", "contoso")
    typist.read_until("(contoso) to go on:")
    typist.type("y\n")
    typist.read_until("y\r\nType the connection's name (contoso) to go on:")
    typist.type("y\n")
    done = typist.end()
    assert (done.status, "Not confirmed; nothing was sent." in done.out) == (2, True)
