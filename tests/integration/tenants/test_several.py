"""One list through several tenants of one application: one plan, a job each, one progress, one
results file, one status.
"""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.tasks.test_approval import submitted_elsewhere
from tests.processes import running, wait_until
from tests.ushers import Usher, run_usher

NAMES = ("adatum", "bellows", "cronus", "datum", "eastern", "fabrikam")
OFF, HELD = "cronus", "eastern"
NOWHERE, APPROVED = "nowhere", "approved"


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """One worker, six tenants of one application, and one tenant that there is not."""
    listed = folder / "tenants.csv"
    with run_usher(
        folder,
        sandbox_options=("--quota", "off", "--replication", "0", "--tenants", "6", "--shared-app"),
        tables=lambda ready: write_tenants(listed, ready),
        more_env={"USHER_CONNECTIONS_FILE": str(listed)},
    ) as running:
        yield running


def write_tenants(listed: Path, ready: dict[str, Any], names: Sequence[str] = NAMES) -> str:
    """Write the list of connections; returns the table of their application."""
    heading = "name;tenant_id;app;tags;authority;require_approval"
    lines = [
        f"{name};{tenant['tenant_id']};msp;{'eu' if name in names[:2] else 'us'};{tenant['authority']};"
        for name, tenant in zip(names, ready["tenants"], strict=True)
    ]
    missing = str(uuid.UUID(int=7))
    lines.append(f"{NOWHERE};{missing};msp;;{ready['url']}/{missing};")
    first = ready["tenants"][0]
    lines.append(f"{APPROVED};{first['tenant_id']};msp;;{first['authority']};true")
    listed.write_text("\n".join([heading, *lines]) + "\n", encoding="utf-8")
    app = {name: ready[name] for name in ("client_id", "graph_url", "ca_file")}
    app["client_secret"] = f"file:{ready['client_secret_file']}"
    return "\n".join(["[apps.msp]", *(f"{name} = {json.dumps(value)}" for name, value in app.items())]) + "\n"


@pytest.fixture
def trouble(usher: Usher) -> Iterator[None]:
    """One tenant takes no invitations, one connection is held."""
    let_invite(usher, "none", OFF)
    usher.run("connections", "hold", HELD, "--reason", "the customer asked for it")
    yield
    let_invite(usher, "everyone", OFF)
    usher.run("connections", "reopen", HELD)


def let_invite(usher: Usher, who: str, *names: str) -> None:
    """Say who may invite in these tenants; a hold for that is lifted."""
    for name in names:
        tenant = usher.sandbox.ready["tenants"][NAMES.index(name)]["tenant_id"]
        usher.sandbox.ask("policy", {"tenant_id": tenant, "allow_invites_from": who})
        if who == "everyone":
            usher.run("connections", "reopen", name)


def run(usher: Usher, *arguments: str, text: str = "") -> tuple[int, dict[str, Any], str]:
    """Run a command with --json; returns its status, its object and what it said on stderr."""
    status, out, said = usher.run(*arguments, "--json", text=text)
    assert out, said
    return status, json.loads(out), said


def results_of(usher: Usher, submission: str) -> list[dict[str, str]]:
    """Return the rows of the one results file."""
    return [*csv.DictReader(io.StringIO(usher.run("jobs", "results", submission).out))]


def people(count: int) -> list[str]:
    """New addresses."""
    return [f"guest-{uuid.uuid4().hex[:10]}@partner.example" for _ in range(count)]


@pytest.mark.usefixtures("trouble")
def test_one_tenants_trouble_is_not_the_others(usher: Usher) -> None:
    """One takes no invitations, one is held, one cannot be signed in to: a sentence for each of the
    three, the others done, one results file, status 3; then all goes on by one command.
    """
    everybody, own = people(2), {name: people(1)[0] for name in NAMES}
    lines = [f"{email},all" for email in everybody] + [f"{email},{name}" for name, email in own.items()]
    text = "email,connection\n" + "\n".join(lines) + "\n"
    status, told, said = run(usher, "invite", "-", "-c", ",".join([*NAMES, NOWHERE]), "--yes", "--wait", "4", text=text)
    assert status == 3, said
    assert (told["state"], told["rows"]) == ("held", 3 * len(NAMES) + 2), (told, said)
    assert told["invited"] == 3 * (len(NAMES) - 2)
    states = {job["connection"]: job["state"] for job in told["jobs"]}
    troubled = {OFF, HELD, NOWHERE}
    assert states == {name: "held" if name in troubled else "done" for name in (*NAMES, NOWHERE)}
    for name, word in ((OFF, "invit"), (HELD, "the customer asked for it"), (NOWHERE, "tenant")):
        assert re.search(rf"^! {name}: Held.*{word}", said, re.MULTILINE), said
    submission = told["submission"]
    assert f"Submission {submission}" in said
    rows = results_of(usher, submission)
    assert next(iter(rows[0])) == "connection"
    went = {(row["connection"], row["email"]) for row in rows if row["status"] == "invited"}
    well = [name for name in NAMES if name not in troubled]
    assert went == {(name, email) for name in well for email in (*everybody, own[name])}
    assert {row["status"] for row in rows if row["connection"] in troubled} == {"pending"}
    # By the one name all of them are shown, and moved
    shown = usher.run("jobs", "show", submission)
    assert shown.status == 0
    assert all(name in shown.out for name in (*NAMES, submission))
    assert "the customer asked for it" in shown.out
    assert run(usher, "jobs", "cancel", submission)[0] == 0
    status, told, said = run(usher, "jobs", "watch", submission)
    assert (status, told["cancelled"], told["pending"]) == (1, 3 * 2 + 2, 0), said


def test_a_list_goes_out_by_tag_and_comes_back_as_it_went(usher: Usher) -> None:
    """Rows that say `all` go to every chosen one; a row that names another, or none, is bad. The
    list comes back with the outcomes beside; the results file, fed back, goes the same ways, and
    invites nobody twice.
    """
    both, theirs, bad, lost = people(4)
    text = f"email,connection\n{both},all\n{theirs},bellows\n{bad},datum\n{lost},\n"
    status, told, said = run(usher, "invite", "-", "-c", "tag:eu", "--yes", text=text)
    assert (status, told["invited"], told["failed"]) == (1, 3, 2), said
    assert 'line 4: connection names "datum", a connection that is not among those chosen' in said
    assert "line 5: connection is empty, though other rows name one; `all` means every chosen one" in said
    rows = results_of(usher, told["submission"])
    went = sorted((row["connection"], row["email"]) for row in rows if row["status"] == "invited")
    assert went == sorted([("adatum", both), ("bellows", both), ("bellows", theirs)])
    own, beside = usher.folder / "own.csv", usher.folder / "beside.csv"
    own.write_text(text)
    usher.run("jobs", "results", told["submission"], "--join", str(own), "-o", str(beside))
    lines = [*csv.DictReader(io.StringIO(beside.read_text()))]
    assert [(line["connections"], line["status"]) for line in lines] == [
        ("adatum; bellows", "invited"),
        ("bellows", "invited"),
        ("", "failed"),
        ("", "failed"),
    ]
    again = usher.folder / "again.csv"
    usher.run("jobs", "results", told["submission"], "--only", "invited", "-o", str(again))
    status, told, said = run(usher, "invite", str(again), "-c", "adatum,bellows", "--yes")
    assert (status, told["rows"], told["invited"], told["already_guest"] + told["skipped"]) == (0, 3, 0, 3), told


def test_a_single_connection_takes_no_row_of_another(usher: Usher) -> None:
    """And is told of as ever: a job, no submission."""
    mine, other = people(2)
    text = f"email,connection\n{mine},adatum\n{other},bellows\n"
    status, told, said = run(usher, "invite", "-", "-c", "adatum", "--yes", text=text)
    assert (status, told["invited"], told["failed"], told["connection"]) == (1, 1, 1, "adatum"), said
    assert "submission" not in told
    assert 'line 3: connection names "bellows", another connection than was chosen' in said


def test_a_row_for_nobody_is_in_no_customers_results(usher: Usher) -> None:
    """It is in those of the submission, once, with the name that it asked for, and in the counts;
    fed back it goes nowhere again, and neither does a row that another cell was refused for.
    """
    mine, stray, unread = people(3)
    text = f"email,connection,expires\n{mine},bellows,\n{stray},datum,\n{unread},adatum,soon\n"
    planned = usher.run("invite", "-", "-c", "adatum,bellows", "--dry-run", text=text, COLUMNS="200")
    assert planned.status == 1
    assert re.search(r"^\(none\) +1$", planned.out.replace("  \n", "\n"), re.MULTILINE), planned.out
    status, told, said = run(usher, "invite", "-", "-c", "adatum,bellows", "--yes", text=text)
    assert (status, told["rows"], told["invited"], told["failed"]) == (1, 3, 1, 2), said
    *jobs, nobodys = told["jobs"]
    assert [job["connection"] for job in (*jobs, nobodys)] == ["adatum", "bellows", ""]
    for job in jobs:
        assert stray not in usher.run("jobs", "results", job["job"]).out
    rows = {row["email"]: row for row in results_of(usher, told["submission"])}
    assert {email: row["connection"] for email, row in rows.items()} == {
        mine: "bellows",
        stray: "datum",
        unread: "adatum",
    }
    assert rows[stray]["error_message"].startswith('Not sent: line 3: connection names "datum", ')
    shown = usher.run("jobs", "show", told["submission"], COLUMNS="200").out
    assert re.search(rf"^\(none\) +{nobodys['job']} +done +1 ", shown, re.MULTILINE), shown
    assert re.search(r"2 connections", usher.run("jobs", "list", "-n", "1", COLUMNS="200").out)
    assert stray in usher.run("jobs", "results", nobodys["job"]).out
    assert run(usher, "jobs", "show", nobodys["job"])[1]["failed"] == 1
    for wanted in (told["submission"], nobodys["job"]):
        refused = usher.run("jobs", "retry", wanted, "--yes")
        assert (refused.status, "mend" in refused.err) == (2, True), refused.err
    results = usher.run("jobs", "results", told["submission"]).out
    status, told, said = run(usher, "invite", "-", "-c", "adatum,bellows,datum", "--yes", text=results)
    assert (status, told["invited"], told["failed"], told["skipped"]) == (1, 0, 2, 1), said
    status, told, said = run(usher, "guests", "disable", "-", "-c", "adatum,bellows", "--yes", text=text)
    assert (status, told["rows"], told["failed"]) == (1, 3, 2), (told, said)
    assert said.count('line 3: connection names "datum"') == 1
    assert usher.run("connections", "list").status == 0


def test_a_dry_run_has_a_line_a_tenant(usher: Usher) -> None:
    """Nothing is sent, and nothing is left of it; a tenant that cannot be asked is named."""
    someone = people(1)[0]
    dry = usher.run("invite", someone, "-c", f"adatum,bellows,{NOWHERE}", "--dry-run", COLUMNS="200")
    assert dry.status == 1
    assert all(re.search(rf"^{name} +1 ", dry.out, re.MULTILINE) for name in ("adatum", "bellows")), dry.out
    assert re.search(r"^together +2 +2 .*2 of 3 connections", dry.out, re.MULTILINE), dry.out
    assert re.search(rf"^{NOWHERE} +not asked", dry.out, re.MULTILINE), dry.out
    assert re.search(r"^Would +Rows +Why *\n[─━-]*\n?invite +2 *$", dry.out, re.MULTILINE), dry.out
    assert re.search(r"^partner.example +2", dry.out, re.MULTILINE), dry.out
    assert f"{NOWHERE}: nobody could look" in dry.err
    rows = usher.folder / "foreseen.csv"
    status, told, _ = run(usher, "invite", someone, "-c", "tag:eu", "--dry-run", "-o", str(rows))
    assert [line.split(",")[:4] for line in rows.read_text().splitlines()[1:]] == [
        [name, "1", someone, "invite"] for name in ("adatum", "bellows")
    ]
    _, asked, _ = run(usher, "invite", someone, "-c", f"adatum,{NOWHERE}", "--dry-run", "-o", str(rows))
    assert [one["connection"] for one in asked["unasked"]] == [NOWHERE]
    lines = [*csv.DictReader(io.StringIO(rows.read_text()))]
    assert [(line["connection"], line["would"]) for line in lines] == [("adatum", "invite"), (NOWHERE, "")]
    assert lines[1]["why"].startswith("Nobody could look: ")
    listed = usher.folder / "listed.csv"
    listed.write_text(f"email,connection\n{someone},all\n{someone.upper()},bellows\n")
    usher.run("invite", str(listed), "-c", "tag:eu", "--dry-run", "-o", str(rows))
    would = [(line["would"], line["connections"]) for line in csv.DictReader(io.StringIO(rows.read_text()))]
    assert would == [("invite", "adatum; bellows"), ("skip", "bellows")]
    repeated = usher.run("invite", str(listed), "-c", "tag:eu", "--dry-run", COLUMNS="200").out
    assert re.search(r"^skip +1 +The same address as row 1", repeated, re.MULTILINE), repeated
    assert (status, told["submission"], told["rows"], len(told["jobs"])) == (0, None, 2, 2)
    assert usher.sandbox.ask(f"guests?address={someone}") == []
    listed = run(usher, "jobs", "list")[1]["jobs"]
    assert all(job["state"] != "loading" for job in listed)


def test_all_jobs_are_moved_by_the_one_name(usher: Usher) -> None:
    """One that is held is paused, and goes on with the others, by the submission's id; in the list
    of jobs it is one line; what is deleted by it is gone.
    """
    someone = people(1)[0]
    usher.run("connections", "hold", "fabrikam", "--reason", "a moment")
    status, told, said = run(usher, "invite", someone, "-c", "datum,fabrikam", "--yes", "--detach")
    assert (status, len(told["jobs"])) == (3, 2), said
    submission = told["submission"]
    assert run(usher, "jobs", "pause", submission[:-2])[1]["jobs"][1]["state"] == "paused"
    usher.run("connections", "reopen", "fabrikam")
    status, told, said = run(usher, "jobs", "resume", submission.upper()[:-2])
    assert (status, told["state"], told["invited"]) == (0, "done", 2), said
    listed = usher.run("jobs", "list", "-n", "1", COLUMNS="200").out.splitlines()
    assert [line.split()[:6] for line in listed[1:]] == [[submission, "2", "connections", "done", "2", "2"]]
    assert len(run(usher, "jobs", "list")[1]["jobs"]) > 1
    unasked = usher.run("jobs", "delete", submission)
    assert (unasked.status, "say it with --yes" in unasked.err) == (2, True), unasked
    status, told, _ = run(usher, "jobs", "delete", submission, "--yes")
    assert (status, told["submission"], len(told["jobs"])) == (0, submission, 2)
    assert "There is no submission" in usher.run("jobs", "show", submission).err
    assert submission not in usher.run("jobs", "list").out


def test_what_failed_is_tried_again_by_the_one_name(usher: Usher) -> None:
    """Each row through its connection, as a new submission; jobs of which nothing failed are left
    out; one job's retry is no part of it.
    """
    email = people(1)[0]
    text = f"email,connection,groups\n{email},adatum,Late\n{email},bellows,Late\n{people(1)[0]},cronus,\n"
    status, told, said = run(usher, "invite", "-", "-c", "adatum,bellows,cronus", "--yes", text=text)
    assert (status, told["invited"], told["stages"]["groups"]["failed"]) == (1, 3, 2), said
    submission = told["submission"]
    for name in ("adatum", "bellows"):
        tenant = usher.sandbox.ready["tenants"][NAMES.index(name)]["tenant_id"]
        usher.sandbox.ask("groups", {"action": "add", "tenant_id": tenant, "groups": [{"name": "Late"}]})
    status, told, said = run(usher, "jobs", "retry", submission, "--yes")
    assert (status, told["stages"]["groups"]["done"], told["rows"]) == (0, 2, 2), (told, said)
    assert [job["connection"] for job in told["jobs"]] == ["adatum", "bellows"]
    again = told["submission"]
    assert again != submission
    shown = run(usher, "jobs", "show", told["jobs"][0]["job"])[1]["info"]
    assert (shown["retry_of"], shown["submission"]) == (submission, again)
    refused = usher.run("jobs", "retry", again, "--yes")
    assert (refused.status, "No row of" in refused.err) == (2, True)


def test_who_stops_the_command_pauses_all_of_it(usher: Usher) -> None:
    """And is told once how all of it goes on."""
    let_invite(usher, "none", "datum", "fabrikam")
    log = usher.folder / "stopped.log"
    arguments = ("invite", people(1)[0], "-c", "datum,fabrikam", "--yes", "--wait", "60")
    with running((sys.executable, "-P", "-m", "cli", *arguments), log, usher.env, usher.folder) as process:
        wait_until(lambda: log.read_text().count(" waits: ") == 2, 40, "a hold that may end by itself")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 3, log.read_text()
    found = re.search(r"^    usher jobs resume (s-\w+)$", log.read_text(), re.MULTILINE)
    assert found is not None, log.read_text()
    assert len(re.findall("usher jobs resume", log.read_text())) == 1
    let_invite(usher, "everyone", "datum", "fabrikam")
    status, told, said = run(usher, "jobs", "resume", found[1])
    assert (status, told["invited"]) == (0, 2), said


def test_a_row_for_a_connection_goes_when_that_is_forgotten(usher: Usher) -> None:
    """Nobody's rows that name it go with all that is kept of it."""
    mine, stray = people(2)
    text = f"email,connection\n{mine},adatum\n{stray},formerly\n"
    _, told, said = run(usher, "invite", "-", "-c", "adatum,bellows", "--yes", text=text)
    assert (told["rows"], told["failed"]) == (2, 1), said
    assert usher.run("connections", "forget", "formerly", "--yes").status == 0
    rows = results_of(usher, told["submission"])
    assert [(row["email"], row["status"]) for row in rows] == [(mine, "invited")]


def test_a_group_that_one_tenant_lacks_is_told_with_the_tenant(usher: Usher) -> None:
    """Of all tenants that lack it, at once; nothing is sent and nothing is left."""
    for name in ("adatum", "datum"):
        tenant = usher.sandbox.ready["tenants"][NAMES.index(name)]["tenant_id"]
        usher.sandbox.ask("groups", {"action": "add", "tenant_id": tenant, "groups": [{"name": "Project X"}]})
    for more in ((), ("--dry-run",)):
        through = ("-c", "adatum,bellows,cronus,datum")
        refused = usher.run("invite", people(1)[0], *through, "--group", "Project X", "--yes", *more)
        assert refused.status == 2, refused.err
        assert "bellows, cronus: --group: " in refused.err
        assert not {"adatum", "datum"} & {*re.findall(r"\w+", refused.err.rpartition("usher: ")[2])}
    assert all(job["state"] != "loading" for job in run(usher, "jobs", "list")[1]["jobs"])


def test_each_job_is_approved_as_itself(usher: Usher) -> None:
    """That of a connection which asks for it waits and the others do not; nobody approves their
    own; what was paused before its approval stays paused.
    """
    someone = people(1)[0]
    status, told, said = run(usher, "invite", someone, "-c", f"bellows,{APPROVED}", "--yes")
    assert (status, told["invited"], told["pending"]) == (3, 1, 1), said
    assert re.search(rf"^! {APPROVED}: Held, .*approves it", said, re.MULTILINE), said
    submission, waiting = told["submission"], told["jobs"][0]["job"]
    assert usher.run("jobs", "approve", submission, "--yes").status == 2
    submitted_elsewhere(usher, waiting)
    paused = usher.run("jobs", "pause", submission)
    assert (paused.status, "1 of them waits for approval, too" in paused.out) == (0, True), paused
    approved = usher.run("jobs", "approve", submission, "--yes")
    assert (approved.status, "1 job of them stays paused" in approved.out) == (0, True), approved
    assert run(usher, "jobs", "show", submission)[1]["state"] == "paused"
    status, told, said = run(usher, "jobs", "resume", submission)
    assert (status, told["state"], told["invited"]) == (0, "done", 2), said
