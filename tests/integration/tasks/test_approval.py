"""`require_approval`, with a real worker and the real CLI: nothing of a job leaves before somebody
else has approved it.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.processes import wait_until
from tests.sandboxes import connection_table
from tests.terminals import Terminal
from tests.ushers import Usher, run_usher

ME = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """One worker; `contoso` requires approval."""

    def tables(ready: dict[str, Any]) -> str:
        return connection_table("contoso", ready, require_approval="true")

    with run_usher(folder, sandbox_options=("--quota", "off", "--replication", "0"), tables=tables) as running:
        yield running


def run(usher: Usher, *arguments: str, **env: str) -> tuple[int, dict[str, Any], str]:
    """Run a command with --json; returns its status, its object and what it said on stderr."""
    status, out, said = usher.run(*arguments, "--json", **env)
    return status, json.loads(out), said


def address() -> str:
    """A new address."""
    return f"guest-{uuid.uuid4().hex[:10]}@fabrikam.example"


def mails(usher: Usher, email: str) -> int:
    """How many mails the sandbox sent there."""
    return len(usher.sandbox.ask(f"mails?address={email}"))


def submitted_elsewhere(usher: Usher, job: str) -> None:
    """Let a job be somebody's of another host: one account cannot be two people in a test."""
    database = redis.Redis.from_url(usher.redis_url)
    info = json.loads(database.hget(f"usher:job:{job}", "info") or b"{}")
    database.hset(f"usher:job:{job}", "info", json.dumps({**info, "by": "ada", "host": "elsewhere"}))
    database.close()


def test_a_job_waits_and_nobody_approves_their_own(usher: Usher) -> None:
    """Status 3 at once with the sentence; neither resume nor the submitter's own approval lets it
    go; somebody else's does.
    """
    email = address()
    status, told, said = run(usher, "invite", email, "-c", "contoso", "--yes")
    assert (status, told["state"], told["pending"]) == (3, "held", 1)
    assert f"usher jobs approve {told['job']}" in said
    assert f"somebody other than {ME}" in said
    job = told["job"]
    status, told, _ = run(usher, "jobs", "approve", job)
    assert (status, told["error"]) == (
        2,
        f"Job {job} was submitted by {ME}: somebody else must approve it. Nothing was sent.",
    )
    assert run(usher, "jobs", "resume", job)[0] == 3
    assert (run(usher, "jobs", "show", job)[1]["state"], mails(usher, email)) == ("held", 0)

    submitted_elsewhere(usher, job)
    status, told, said = run(usher, "jobs", "pause", job)
    assert (status, told["state"], "It is paused besides" in told["why"]) == (0, "held", True), said
    status, told, said = run(usher, "jobs", "resume", job)
    assert (status, told["state"], "is paused" in said) == (3, "held", False), said
    status, told, _ = run(usher, "jobs", "approve", job)
    assert (status, told["state"] in ("running", "done"), told["approver"]) == (0, True, ME)
    assert told["info"]["approver"] == ME  # the same object as of `jobs show`
    assert usher.finished(job)["invited"] == 1
    assert mails(usher, email) == 1
    assert run(usher, "jobs", "show", job)[1]["info"]["approver"] == ME
    assert run(usher, "jobs", "approve", job)[1]["error"] == f"Job {job} was approved already, by {ME}."


def test_the_same_account_on_another_host_is_the_same_person(usher: Usher) -> None:
    """As each `docker compose run` is: a new host, one account. People who share it say who they
    are, and each of them is one person.
    """
    email = address()
    job = run(usher, "invite", email, "-c", "contoso", "--yes")[1]["job"]
    _move(usher, job)
    status, told, _ = run(usher, "jobs", "approve", job)
    assert (status, "somebody else must approve it" in told["error"], "USHER_ACTOR=NAME" in told["error"]) == (
        2,
        True,
        True,
    )
    assert run(usher, "jobs", "approve", job, USHER_ACTOR="grace")[0] == 2, "named for the occasion"

    job = run(usher, "invite", email, "-c", "contoso", "--yes", USHER_ACTOR="ada")[1]["job"]
    _move(usher, job)
    assert run(usher, "jobs", "approve", job, USHER_ACTOR="Ada")[0] == 2
    assert mails(usher, email) == 0
    status, told, _ = run(usher, "jobs", "approve", job, USHER_ACTOR="grace")
    assert (status, told["approver"]) == (0, f"grace ({ME})")
    usher.finished(job)
    assert mails(usher, email) == 1


def _move(usher: Usher, job: str) -> None:
    """Let a job have been submitted on another host."""
    database = redis.Redis.from_url(usher.redis_url)
    info = json.loads(database.hget(f"usher:job:{job}", "info") or b"{}")
    database.hset(f"usher:job:{job}", "info", json.dumps({**info, "host": "0fd1c2a7b3e4"}))
    database.close()


def test_a_submitter_whose_configuration_does_not_say_so_is_no_way_around(usher: Usher) -> None:
    """The worker holds the job before anything of it is sent."""
    config = usher.folder / "careless.toml"
    config.write_text((usher.folder / "usher.toml").read_text().replace("require_approval = true", ""))
    email = address()
    status, told, said = run(usher, "invite", email, "-c", "contoso", "--yes", USHER_CONFIG=str(config))
    assert (status, told["state"], told["pending"]) == (3, "held", 1)
    assert "requires approval" in said
    assert mails(usher, email) == 0
    assert run(usher, "jobs", "resume", told["job"], USHER_CONFIG=str(config))[1]["state"] == "held"
    submitted_elsewhere(usher, told["job"])
    assert run(usher, "jobs", "approve", told["job"])[0] == 0
    assert usher.finished(told["job"])["invited"] == 1


LIST = """email,display_name
known@fabrikam.example,Known
{new},Zoe New
m@gmial.com,Slip
a@contoso.example,A Colleague
nonsense,N
"""


def test_who_approves_sees_whom(usher: Usher) -> None:
    """The rows in full, the domains, and what would become of them, before the question; `jobs
    show` has the first two.
    """
    new = address()
    usher.sandbox.ask("users", {"action": "add", "email": "known@fabrikam.example"})
    path = usher.folder / "whom.csv"
    path.write_text(LIST.format(new=new))
    job = run(usher, "invite", str(path), "-c", "contoso", "--yes", "--accept-bad")[1]["job"]
    submitted_elsewhere(usher, job)
    shown = usher.run("jobs", "show", job).out
    assert all(words in shown for words in (new, "Zoe New", "gmial.com", "did they mean gmail.com?")), shown
    desk = Terminal(usher.env, usher.folder, "jobs", "approve", job)
    seen = desk.read_until("[y/N]")
    assert all(words in seen for words in (new, "Zoe New", "fabrikam.example", "did they mean gmail.com?")), seen
    assert re.search(r"invite +2\b", seen), seen
    assert re.search(r"skip +1\b", seen), seen
    assert re.search(r"refuse +1\b", seen), seen
    assert "Not checked" in seen
    assert "nonsense" not in seen, "it ended before"
    desk.type("n\n")
    assert desk.wait() == 2
    assert mails(usher, new) == 0
    assert run(usher, "jobs", "show", job)[1]["state"] == "held"


def test_what_was_looked_at_is_kept_with_the_approval(usher: Usher) -> None:
    """The digest on the approver's screen is the job's and the audit trail's, with the counts that
    were shown.
    """
    usher.sandbox.ask("users", {"action": "add", "email": "there@fabrikam.example"})
    job = run(usher, "invite", address(), "there@fabrikam.example", "-c", "contoso", "--yes")[1]["job"]
    submitted_elsewhere(usher, job)
    desk = Terminal(usher.env, usher.folder, "jobs", "approve", job)
    seen = desk.read_until("[y/N]")
    [digest] = re.findall(r"Digest of what is to be approved: ([0-9a-f]{64})", seen.replace("\r\n", ""))
    desk.type("y\n")
    assert desk.wait() == 0
    usher.finished(job)
    approved = run(usher, "jobs", "show", job)[1]["info"]["approved"]
    assert (approved["digest"], approved["rows"]) == (digest, 2)
    assert approved["would"] == {"invite": 1, "skip": 1, "refuse": 0}
    assert digest in usher.run("jobs", "show", job).out
    trail = [json.loads(line) for line in usher.run("audit", "export").out.splitlines()]
    [event] = [entry for entry in trail if (entry["what"], entry.get("job")) == ("job.approved", job)]
    assert (event["digest"], event["would"]) == (digest, "invite 1, skip 1, refuse 0")


def test_an_approval_without_a_look_says_so(usher: Usher) -> None:
    """It binds list, options and connection; no counts are claimed that nobody saw."""
    job = run(usher, "invite", address(), "-c", "contoso", "--yes")[1]["job"]
    submitted_elsewhere(usher, job)
    told = run(usher, "jobs", "approve", job)[1]
    assert (len(told["info"]["approved"]["digest"]), "would" in told["info"]["approved"]) == (64, False)
    usher.finished(job)


def test_who_cannot_ask_the_tenant_still_sees_whom(usher: Usher) -> None:
    """Without the credential: the rows, the domains, and why the rest is not known."""
    email = address()
    job = run(usher, "invite", email, "-c", "contoso", "--yes")[1]["job"]
    submitted_elsewhere(usher, job)
    config = usher.folder / "no-secret.toml"
    text = (usher.folder / "usher.toml").read_text()
    config.write_text(re.sub(r'client_secret = ".*"', 'client_secret = "file:/nowhere/secret"', text))
    desk = Terminal(usher.env | {"USHER_CONFIG": str(config)}, usher.folder, "jobs", "approve", job)
    seen = " ".join(desk.read_until("[y/N]").split())
    assert email in seen
    assert "fabrikam.example" in seen
    assert "could not be looked at from here" in seen
    desk.type("y\n")
    assert desk.wait() == 0
    assert usher.finished(job)["invited"] == 1


def test_a_producers_guest_is_pending_at_once_and_says_why(usher: Usher) -> None:
    """Both tasks; nobody waits the seconds out, and nothing is sent until a person approves."""
    email, other = address(), address()
    answer = usher.ask("usher.invite_guest", "contoso", email, wait_s=600)
    assert (answer["status"], "approval" in answer["why"]) == ("pending", True)
    listed = usher.ask("usher.invite_guests", "contoso", [{"email": other}])
    assert (listed["state"], "approval" in listed["why"], listed["pending"]) == ("held", True, 1)
    assert mails(usher, email) + mails(usher, other) == 0
    for job in (answer["job"], listed["job"]):
        assert run(usher, "jobs", "approve", job)[0] == 0
    wait_until(lambda: mails(usher, email) and mails(usher, other), 20, "both mailed")


def test_a_retry_is_a_submission_of_its_own(usher: Usher) -> None:
    """Whoever tries the failed rows of an approved job again is not approved by that."""
    status, told, _ = run(usher, "invite", "team@partner.example", "-c", "contoso", "--yes")
    submitted_elsewhere(usher, told["job"])
    run(usher, "jobs", "approve", told["job"])
    assert usher.finished(told["job"])["failed"] == 1
    status, again, _ = run(usher, "jobs", "retry", told["job"], "--yes")
    assert (status, again["state"]) == (3, "held")
    info = run(usher, "jobs", "show", again["job"])[1]["info"]
    assert ("approver" in info, f"{info['by']}@{info['host']}") == (False, ME)


def test_a_job_that_waits_can_be_cancelled(usher: Usher) -> None:
    """Nothing of it was sent, and it cannot be approved afterwards."""
    _, told, _ = run(usher, "invite", address(), "-c", "contoso", "--yes", "--detach")
    submitted_elsewhere(usher, told["job"])
    assert run(usher, "jobs", "cancel", told["job"])[1]["cancelled"] == 1
    assert "does not wait for approval" in run(usher, "jobs", "approve", told["job"])[1]["error"]


def test_a_job_that_waits_says_so_once(usher: Usher) -> None:
    """Whoever submits it reads one sentence about approval, and then the command for whoever
    approves.
    """
    status, _, said = usher.run("invite", address(), "-c", "contoso", "--yes")
    assert status == 3
    assert re.search(r"^Approval +by somebody else, before anything is sent$", said, re.MULTILINE)
    [held] = [line for line in said.splitlines() if "Held, 1 row left" in line]
    [job] = re.findall(r"^Job (\w+)$", said, re.MULTILINE)
    assert (said.count("somebody other than"), said.count(f"usher jobs approve {job}")) == (1, 1), said
    assert f"somebody other than {ME} has looked at it (usher jobs show {job}) and approves it:" in held
    shown = usher.run("jobs", "show", job)
    assert (shown.out + shown.err).count("requires approval") == 1
