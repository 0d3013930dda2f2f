"""What is done with jobs and connections once they are there: results, retry, delete, forget, hold,
check.
"""

from __future__ import annotations

import csv
import json

from tests.places import Place, Typist
from tests.processes import wait_until
from worker.stack.folders import find_folders


def test_results_are_for_their_owner_alone_and_can_be_fed_back(place: Place) -> None:
    """A file is 0600; --only chooses; what was written is a list again."""
    told = place.usher("invite", "r1@example.org", "r2@example.org", "bad@", "-c", "sandbox", "--json").job
    path = place.folder / "results.csv"
    done = place.usher("jobs", "results", told["job"], "-o", str(path))
    assert done.status == 0
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["invited", "invited", "failed"]
    assert rows[0]["redeem_url"].startswith("https://")
    failed = place.usher("jobs", "results", told["job"], "--only", "failed", "--format", "jsonl")
    assert [json.loads(line)["row"] for line in failed.out.splitlines()] == [3]
    assert place.usher("invite", str(path), "-c", "sandbox", "--dry-run").status == 1
    refused = place.usher("jobs", "results", told["job"], "-o", "/nowhere/results.csv")
    assert (refused.status, "cannot be written" in refused.err) == (2, True)


def test_retry_sends_what_failed_with_all_that_was_asked_for(place: Place) -> None:
    """A new job of the failed rows, their other fields kept."""
    text = "email,display_name,message,ref\nok@example.org,Ok,,1\nlost@blocked.example,Lost,Do come,2\n"
    first = place.usher("invite", "-", "-c", "sandbox", "--json", "--reason", "a try", text=text).job
    assert first["failed"] == 1
    done = place.usher("jobs", "retry", first["job"], "--json")
    assert (done.status, done.job["rows"], done.job["failed"]) == (1, 1, 1)
    exported = place.usher("guests", "export", "lost@blocked.example", "--json").json
    (again,) = [row["submitted"] for row in exported["rows"] if row["job"] == done.job["job"]]
    assert (again["message"], again["ref"]) == ("Do come", "2")
    shown = json.loads(place.usher("jobs", "show", done.job["job"], "--json").out)
    assert (shown["info"]["retry_of"], shown["info"]["reason"]) == (first["job"], "a try")
    none = place.usher("jobs", "retry", place.usher("invite", "t@example.org", "-c", "sandbox", "--json").job["job"])
    assert (none.status, "nothing was sent" in none.err) == (2, True)


def test_retry_leaves_out_who_was_refused_for_a_cell(place: Place) -> None:
    """Its cells are not kept: the guest would be let in without the end that was meant."""
    text = "email,expires\nsoon@example.org,soon\nlost@blocked.example,\n"
    first = place.usher("invite", "-", "-c", "sandbox", "--json", "--yes", text=text).job
    assert first["failed"] == 2
    done = place.usher("jobs", "retry", first["job"], "--json")
    assert (done.job["rows"], done.job["failed"], done.job["invited"]) == (1, 1, 0)
    text = "email,expires\nsoon@example.org,soon\nok.end@example.org,2099-01-01\n"
    bad = place.usher("invite", "-", "-c", "sandbox", "--json", "--yes", text=text).job
    none = place.usher("jobs", "retry", bad["job"])
    assert (none.status, "mend them in your list" in none.err) == (2, True)


def test_what_was_done_in_the_sandbox_is_undone_when_it_runs_again(own_place: Place) -> None:
    """Between two commands the private stack ends; its sandbox's guests stay, at another port."""
    told = own_place.usher("guests", "disable", "linus@partner.example", "-c", "sandbox", "--yes", "--json").json
    assert told["done"] == 1
    wait_until(lambda: not find_folders(own_place.env).sandbox_ready.exists(), 20, "the sandbox's end")
    undone = own_place.usher("guests", "undo", told["job"], "--yes", "--json")
    assert (undone.status, undone.json["done"]) == (0, 1), undone.err


def test_a_deleted_job_is_gone(place: Place) -> None:
    """On a terminal it is asked for; without one it is not, and needs the whole id."""
    job = place.usher("invite", "gone@example.org", "-c", "sandbox", "--json").job["job"]
    typist = Typist(place, "jobs", "delete", job)
    typist.read_until("[y/N]")
    typist.type("n\n")
    assert typist.end().status == 2
    shortened = place.usher("jobs", "delete", job[:-1])
    assert (shortened.status, f"begins the id of job {job}" in shortened.err) == (2, True)
    assert place.usher("jobs", "delete", job).status == 0
    assert place.usher("jobs", "show", job).status == 2


def test_a_person_is_forgotten(place: Place) -> None:
    """One sentence; the row's outcome stays, and a job that has not ended stands in the way."""
    job = place.usher("invite", "once@example.org", "other@example.org", "-c", "sandbox", "--json").job["job"]
    files = set((find_folders(place.env).data / "appendonlydir").glob("*.base.*"))
    done = place.usher("guests", "forget", "ONCE@example.org")
    assert (done.status, done.err) == (0, "")
    assert not files & set((find_folders(place.env).data / "appendonlydir").glob("*.base.*")), "written anew"
    assert done.out.startswith("Forgotten: 1 row of 1 job no longer names this person; the index of guests too")
    rows = list(csv.DictReader(place.usher("jobs", "results", job).out.splitlines()))
    assert [(row["email"], row["status"]) for row in rows] == [("", "invited"), ("other@example.org", "invited")]
    assert rows[0]["redeem_url"] == ""
    assert rows[1]["redeem_url"] != ""
    typist = Typist(place, "guests", "forget", "other@example.org")
    typist.read_until("[y/N]")
    typist.type("\n")
    done = typist.end()
    assert (done.status, "nothing was erased" in done.out) == (2, True)
    held = place.usher("guests", "export", "other@example.org", "--json").json["rows"]
    assert [(row["job"], row["row"], row.get("stage")) for row in held] == [(job, 2, None), (job, 2, "mail")]
    again = place.usher("guests", "forget", "once@example.org", "--json")
    assert (again.status, set(again.json.values())) == (0, {0})
    waits = place.usher(
        "invite", "wait1@example.org", "wait2@example.org", "-c", "sandbox", "--pilot", "1", "--json"
    ).job
    refused = place.usher("guests", "forget", "wait1@example.org")
    assert (refused.status, f"Job {waits['job']} has this address" in refused.err) == (2, True)
    assert place.usher("jobs", "cancel", waits["job"]).status == 0


def test_a_hold_only_a_person_lifts_returns_soon(place: Place) -> None:
    """Status 3 within ten seconds, with the reason; reopened, the job goes on."""
    assert place.usher("connections", "hold", "contoso", "--reason", "Audit week").status == 0
    assert "Audit week." in place.usher("connections", "list").out
    done = place.usher("invite", "held@fabrikam.example", "-c", "contoso", "--json")
    assert (done.status, done.job["state"], done.job["pending"]) == (3, "held", 1)
    assert done.err.count("Audit week.") == 2  # once before it is sent, once in the end
    checked = place.usher("connections", "check", "contoso", "--json")
    assert (checked.status, checked.json["ok"]) == (1, False)
    assert place.usher("connections", "reopen", "contoso").out == "contoso is open again.\n"
    told = place.usher("jobs", "resume", done.job["job"], "--json")
    assert (told.status, told.job["invited"]) == (0, 1)


def test_holding_and_reopening_tell_how_the_gates_stand(place: Place) -> None:
    """With --json as `usher connections list` tells them: the one named, or all."""

    def gates(*arguments: str) -> dict[str, tuple[bool, str]]:
        done = place.usher("connections", *arguments, "--json")
        assert (done.status, done.err) == (0, "")
        return {
            one["connection"]: (one["gate"].startswith("held since"), one["why"]) for one in done.json["connections"]
        }

    held = gates("hold", "contoso", "--reason", "Audit week")
    assert held == {
        "contoso": (True, "Held by whoever runs usher: Audit week. `usher connections reopen contoso` lifts it.")
    }
    everything = gates("hold", "--all", "--reason", "Restore")
    assert everything.keys() == {"contoso", "sandbox"}
    assert all(is_held for is_held, _ in everything.values())
    assert "Restore." in everything["sandbox"][1]
    assert gates("reopen", "--all") == gates("list") == {"contoso": held["contoso"], "sandbox": (False, "")}
    assert gates("reopen", "contoso") == {"contoso": (False, "")}
    assert "no reason was given." in gates("hold", "contoso")["contoso"][1]
    assert gates("reopen", "contoso") == {"contoso": (False, "")}


def test_check_says_what_works(place: Place) -> None:
    """A sentence each; status 0 when nobody has to act."""
    done = place.usher("connections", "check", "contoso")
    assert done.status == 0
    for words in ("Signing in works", "may invite guests", "Sandbox (Contoso)"):
        assert words in done.out
