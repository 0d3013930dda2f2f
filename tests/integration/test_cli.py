"""The real `usher` process, on a private stack of its own with a real worker and the sandbox: what is typed, printed, returned."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.needs import need
from tests.processes import ROOT, USHER, plain_environment, running, wait_until
from tests.sandboxes import connection_table, run_sandbox
from tests.sites import OwnValkey
from tests.terminals import Terminal
from worker.attachment import read_status
from worker.folders import find_folders
from worker.lockfile import read_note

COUNTS = ("invited", "already_guest", "skipped", "failed", "in_doubt", "pending", "cancelled")
KEYS = ["job", "connection", "state", "rows", *COUNTS, "elapsed_s"]
NO_ROOM = "usher: Not everything could be written (no space left on device): whoever runs this machine makes room."
JOB = re.compile(r"^Job ([a-z2-7]{10})$", re.MULTILINE)


@dataclass
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; everything about it that --json promises is checked."""
        assert self.out.count("\n") == 1, self.out
        told = json.loads(self.out)
        assert isinstance(told, dict)
        if self.status == 2:
            assert list(told) == ["error"]
        return told

    @property
    def job(self) -> dict[str, Any]:
        """The object of a followed job."""
        told = self.json
        assert list(told) == KEYS
        assert told["rows"] == sum(told[name] for name in COUNTS)
        return told


@dataclass
class Place:
    """A state folder and the environment that leads to it."""

    folder: Path
    env: dict[str, str]

    def usher(self, *arguments: str, text: str | None = None, **env: str) -> Result:
        """Run a command to its end, without a terminal."""
        done = subprocess.run(
            [*USHER, *arguments],
            env=self.env | env,
            cwd=self.folder,
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def write(self, name: str, text: str | bytes) -> str:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def guests(self, count: int, start: str = "guest") -> str:
        """Write a list of so many and return its path."""
        return self.write(f"{start}.csv", "email\n" + "".join(f"{start}{n}@fabrikam.example\n" for n in range(count)))

    def is_gone(self) -> bool:
        """Whether nothing of the stack runs any more."""
        return read_status(self.env) is None


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """One stack for the module: it outlives the seconds between two commands. `contoso` is a connection like a real one."""
    with _make_place("10") as made:
        yield made


@pytest.fixture
def own_place() -> Iterator[Place]:
    """A stack for one test, which ends soon after its last command."""
    with _make_place("0.2") as made:
        yield made


class _make_place:  # noqa: N801 - used as a function
    def __init__(self, grace_s: str) -> None:
        self._grace_s = grace_s

    def __enter__(self) -> Place:
        self._folder = Path(tempfile.mkdtemp(prefix="ucli-", dir="/tmp"))
        self._sandbox = run_sandbox(self._folder, "--replication", "0")
        ready = self._sandbox.__enter__().ready
        config = self._folder / "usher.toml"
        config.write_text(connection_table("contoso", ready), encoding="utf-8")
        state = {"USHER_STATE_DIR": str(self._folder / "state"), "HOME": str(self._folder)}
        env = plain_environment(USHER_CONFIG=str(config), USHER_GRACE_S=self._grace_s, COLUMNS="160", **state)
        env.pop("XDG_RUNTIME_DIR", None)
        self._place = Place(self._folder, env)
        return self._place

    def __exit__(self, *_: object) -> None:
        note = read_note(find_folders(self._place.env).supervisor_lock)
        if note and not self._place.is_gone():
            os.kill(note["pid"], signal.SIGTERM)
        try:
            wait_until(self._place.is_gone, 60, "the end of the private stack")
        finally:
            self._sandbox.__exit__(None, None, None)
            shutil.rmtree(self._folder, ignore_errors=True)


class Typist(Terminal):
    """A command at a terminal of its own, in a place."""

    def __init__(self, place: Place, *arguments: str) -> None:
        super().__init__(place.env, place.folder, *arguments)

    def end(self, within_s: float = 40.0) -> Result:
        """Read until the command ends."""
        return Result(self.wait(within_s), self.text, self.text)


def test_the_sample_becomes_guests(place: Place) -> None:
    """What `make demo` shows: every kind of outcome, the reason beside each row that failed, status 1."""
    done = place.usher("invite", str(ROOT / "examples/guests.csv"), "--connection", "sandbox", "--yes")
    assert done.status == 1
    assert re.search(r"invited +9\d", done.out)
    for words in ("already guests", "skipped", "failed", "ruth.abel@blocked.example", "priya@contoso.example"):
        assert words in done.out
    assert "line 48: email" in done.err
    job = JOB.search(done.err)
    assert job is not None
    listed = place.usher("jobs", "list")
    assert f"{job[1]}  sandbox     done" in listed.out
    assert "Guests  Skipped  Failed" in listed.out
    shown = place.usher("jobs", "show", job[1][:5])
    assert shown.status == 0
    assert "guests.csv" in shown.out
    assert "ruth.abel@blocked.example" in shown.out


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


BAD_INPUT = {
    "binary": (b"\x00\x01\x02PK\x03\x04" * 100, "is not a text file"),
    "column": (b"name,phone\na,b\n", "has no column called email"),
    "long": (b"email\n" + b"a" * 10_000_000 + b"\n", "has a line of more than"),
    "empty": (b"", "is empty"),
    "headings": (b"email\n", "no rows"),
    "all-bad": (b"email\nx\n", "None of 1 row can be sent"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_a_bad_list_is_one_sentence(place: Place, name: str) -> None:
    """Status 2, and the same sentence as JSON."""
    content, words = BAD_INPUT[name]
    path = place.write(f"{name}.csv", content)
    done = place.usher("invite", path, "-c", "sandbox", "--json")
    assert done.status == 2
    assert words in done.json["error"]
    assert done.err.splitlines()[-1] == f"usher: {done.json['error']}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("invite", "a@example.org", "-c", "contos"), "(did you mean contoso?); known are: contoso, sandbox"),
        (("invite", "nowhere.csv", "-c", "contoso"), "nowhere.csv does not exist, and is no e-mail address either"),
        (("invite", "a@example.org"), "through which connection? Known are: contoso, sandbox."),
        (("invite", "a@example.org", "file.csv", "-c", "contoso"), "is not an e-mail address"),
        (("invite", "a@example.org", "x@", "-c", "contoso", "--strict"), "--strict was given; nothing was sent"),
        (("invite", "a@example.org", "-c", "sandbox", "--detach"), "usher up"),
        (("invite", "a@example.org", "-c", "sandbox", "--redirect-url", "ftp://x"), "redirect_url"),
        (("invite", "a@example.org", "-c", "sandbox", "--wait", "soon"), "must be a length of time"),
        (("invte",), "did you mean invite?"),
        (("jobs", "show", "nosuchjob"), "There is no job"),
        (("jobs", "results", "../../etc", "-o", "x.csv"), "There is no job"),
        (("connections", "check"), "--all"),
        (("connections", "hold", "nobody", "--reason", "x"), "There is no connection"),
        (("connections", "reopen", "--json"), "Give the name of a connection, or --all"),
    ],
)
def test_bad_usage_is_one_sentence(place: Place, arguments: tuple[str, ...], words: str) -> None:
    """Status 2 and nothing was sent."""
    done = place.usher(*arguments, "--json") if arguments[0] != "connections" else place.usher(*arguments)
    assert done.status == 2
    assert words in done.err
    assert done.err.startswith(("usher: ", "! "))


def test_a_missing_secret_and_a_wrong_one_are_told_before_anything_is_accepted(place: Place) -> None:
    """A refused credential is status 2: no job is left behind."""
    before = place.usher("jobs", "list").out
    name = "USHER_CONNECTIONS__CONTOSO__CLIENT_SECRET"
    done = place.usher("invite", "a@example.org", "-c", "contoso", "--json", **{name: "env:NOT_THERE"})
    assert (done.status, "NOT_THERE" in done.json["error"]) == (2, True)
    done = place.usher("invite", "a@example.org", "-c", "contoso", "--json", **{name: "env:WRONG", "WRONG": "wrong"})
    assert done.status == 2
    assert done.json["error"].startswith("Nothing was accepted or sent. The client secret was refused.")
    assert place.usher("jobs", "list").out == before
    listed = place.usher("connections", "list", **{name: "env:NOT_THERE"})
    assert listed.status == 0, "the list of connections needs no secret"


def test_an_unreachable_redis_is_one_sentence(place: Place) -> None:
    """Reading commands included; the built-in sandbox is refused behind a Redis of the operator's."""
    url = {"USHER_REDIS_URL": "redis://127.0.0.1:1/0"}
    for arguments in (("jobs", "list"), ("invite", "a@example.org", "-c", "contoso")):
        done = place.usher(*arguments, "--json", **url)
        assert (done.status, "Redis cannot be reached" in done.json["error"]) == (2, True)
    done = place.usher("invite", "a@example.org", "-c", "sandbox", **url)
    assert (done.status, "needs the private stack" in done.err) == (2, True)


def test_an_evicting_redis_is_refused(place: Place) -> None:
    """It would forget rows; it says what to set."""
    server = need("redis-server")
    socket = place.folder / "evicts.sock"
    argv = (server, "--port", "0", "--unixsocket", str(socket), "--save", "", "--maxmemory", "50mb")
    with running((*argv, "--maxmemory-policy", "allkeys-lru"), place.folder / "evicts.log", place.env, place.folder):
        wait_until(socket.exists, 10, "the server's socket")
        done = place.usher("invite", "a@example.org", "-c", "contoso", "--json", USHER_REDIS_URL=f"unix://{socket}")
    assert (done.status, "set it to noeviction" in done.json["error"]) == (2, True)


def test_ctrl_c_pauses_and_resume_goes_on(place: Place) -> None:
    """It says what went out; each guest is invited once in the end."""
    typist = Typist(place, "invite", place.guests(320, "stop"), "-c", "sandbox")
    typist.read_until(" invited")
    typist.type("\x03")
    done = typist.end()
    assert done.status == 3
    assert "Stopped by Ctrl-C: " in done.out
    found = re.search(r"usher jobs resume ([a-z2-7]{10})", done.out)
    assert found is not None
    shown = json.loads(place.usher("jobs", "show", found[1], "--json").out)
    assert (shown["state"], shown["pending"] + shown["invited"]) == ("paused", 320)
    assert shown["elapsed_s"] > 0
    assert shown["pending"] > 0
    told = place.usher("jobs", "resume", found[1], "--json")
    assert (told.status, told.job["invited"]) == (0, 320)


def test_ctrl_c_in_a_watch_only_ends_the_watching(place: Place) -> None:
    """The job goes on for the command that submitted it, and is still that command's."""
    guests = place.guests(400, "watched")
    argv = [*USHER, "invite", guests, "-c", "contoso", "--json"]
    process = subprocess.Popen(
        argv, env=place.env, cwd=place.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        said = process.stderr
        assert said is not None
        job = wait_until(lambda: JOB.search(said.readline()), 30, "a job")[1]
        watching = Typist(place, "jobs", "watch", job)
        watching.read_until(" of 400")
        watching.type("\x03")
        watched = watching.end()
        assert (watched.status, f"usher jobs watch {job}" in watched.out, "aus" in watched.out) == (3, True, False)
        assert place.usher("jobs", "list").status == 0  # which pauses what nobody follows
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, json.loads(out)["invited"]) == (0, 400)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_pauses_too(place: Place, sign: signal.Signals) -> None:
    """Without a terminal: one object, status 3, and the job can be cancelled for good."""
    argv = [*USHER, "invite", place.guests(320, f"s{sign.value}x"), "-c", "sandbox", "--json"]
    with subprocess.Popen(argv, env=place.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        wait_until(lambda: process.stderr and "Job " in process.stderr.readline(), 20, "the job's id")
        time.sleep(1.0)
        process.send_signal(sign)
        out, err = process.communicate(timeout=40)
    done = Result(process.returncode, out, err)
    assert (done.status, done.job["state"]) == (3, "paused")
    assert done.job["pending"] > 0
    cancelled = place.usher("jobs", "cancel", done.job["job"])
    assert "is cancelled" in cancelled.out
    assert place.usher("jobs", "resume", done.job["job"]).status == 2


def test_nohup_outlives_its_terminal(place: Place) -> None:
    """What is started so goes on where its terminal ends."""
    argv = ["nohup", *USHER, "invite", place.guests(320, "nohup"), "-c", "sandbox", "--json"]
    with subprocess.Popen(argv, env=place.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        wait_until(lambda: process.stderr and "Job " in process.stderr.readline(), 20, "the job's id")
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=60)
    done = Result(process.returncode, out, err)
    assert (done.status, done.job["invited"]) == (0, 320)


def test_a_pilot_sends_the_first_rows_and_pauses(place: Place) -> None:
    """Bad rows further down do not count as the pilot's; without a terminal nobody is asked."""
    rows = "email\n" + "".join(f"pilot{n}@fabrikam.example\n" for n in range(30)) + "x\ny\nz\npilot0@fabrikam.example\n"
    done = place.usher("invite", place.write("pilot.csv", rows), "-c", "sandbox", "--pilot", "4", "--json")
    told = done.job
    assert (done.status, told["state"], told["invited"]) == (3, "paused", 4)
    assert (told["failed"], told["skipped"], told["pending"]) == (3, 1, 26)
    done = place.usher("jobs", "resume", told["job"], "--json")
    assert (done.status, done.job["invited"]) == (1, 30)


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
    assert "1 row with a message" in done.err, "it was kept"
    shown = json.loads(place.usher("jobs", "show", done.job["job"], "--json").out)
    assert (shown["info"]["retry_of"], shown["info"]["reason"]) == (first["job"], "a try")
    none = place.usher("jobs", "retry", place.usher("invite", "t@example.org", "-c", "sandbox", "--json").job["job"])
    assert (none.status, "nothing was sent" in none.err) == (2, True)


def test_a_deleted_job_is_gone(place: Place) -> None:
    """On a terminal it is asked for; without one it is not."""
    job = place.usher("invite", "gone@example.org", "-c", "sandbox", "--json").job["job"]
    typist = Typist(place, "jobs", "delete", job)
    typist.read_until("[y/N]")
    typist.type("n\n")
    assert typist.end().status == 2
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
    assert len(place.usher("guests", "export", "other@example.org", "--json").json["rows"]) == 1
    again = place.usher("guests", "forget", "once@example.org", "--json")
    assert (again.status, again.json) == (0, {"rows": 0, "jobs": 0, "index": 0, "audit": 0})
    waits = place.usher(
        "invite", "wait1@example.org", "wait2@example.org", "-c", "sandbox", "--pilot", "1", "--json"
    ).job
    refused = place.usher("guests", "forget", "wait1@example.org")
    assert (refused.status, f"Job {waits['job']} has this address" in refused.err) == (2, True)
    assert place.usher("jobs", "cancel", waits["job"]).status == 0


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
    """Invited a moment ago, in the tenant before, or a colleague: each is told of, and the rest is what is sent."""
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
    """Above 500 a mere y is no answer."""
    typist = Typist(place, "invite", place.guests(501, "many"), "-c", "contoso")
    typist.read_until("(contoso) to go on:")
    typist.type("y\n")
    assert typist.end().status == 2


def test_a_hold_only_a_person_lifts_returns_soon(place: Place) -> None:
    """Status 3 within ten seconds, with the reason; reopened, the job goes on."""
    assert place.usher("connections", "hold", "contoso", "--reason", "Audit week").status == 0
    assert "Audit week." in place.usher("connections", "list").out
    began_s = time.monotonic()
    done = place.usher("invite", "held@fabrikam.example", "-c", "contoso", "--json")
    assert time.monotonic() - began_s < 10
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


def test_check_says_what_works(place: Place) -> None:
    """A sentence each; status 0 when nobody has to act."""
    done = place.usher("connections", "check", "contoso")
    assert done.status == 0
    for words in ("Signing in works", "may invite guests", "Sandbox (Contoso)"):
        assert words in done.out


def test_a_reader_that_leaves_early_is_no_error(place: Place) -> None:
    """`| head -1` is silent."""
    job = place.usher("invite", place.guests(200, "pipe"), "-c", "sandbox", "--json").job["job"]
    command = f"'{USHER[0]}' -P -m tasks.cli jobs results {job} | head -1"
    done = subprocess.run(["sh", "-c", command], env=place.env, capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith("row,email")
    assert done.stderr == ""


def test_a_frozen_redis_is_a_sentence(place: Place) -> None:
    """It takes connections and never answers; nobody is left in front of a silent command for minutes."""
    server = OwnValkey.begin()
    try:
        server.freeze()
        done = place.usher("jobs", "list", USHER_REDIS_URL=server.url)
    finally:
        server.end()
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert done.err.startswith("usher: Redis takes connections and has not answered for 20 s; nothing was sent.")


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("--version >&-", 0, ""),
        ("--help > /dev/full", 2, NO_ROOM),
        ("connections list --json >&-", 0, ""),
        ("connections list --json > /dev/full", 2, NO_ROOM),
        ("invite - -c sandbox <&-", 2, "usher: Standard input is empty.\n"),
        ("invite nowhere.csv -c sandbox 2>&-", 2, ""),
        ("invite full@fabrikam.example -c sandbox --json > /dev/full", 3, NO_ROOM),
    ],
)
def test_a_closed_or_full_stream_is_no_fault_of_ushers(place: Place, command: str, status: int, said: str) -> None:
    """Nothing to write to is like /dev/null; no room is a sentence, and the status says whether rows were accepted."""
    argv = ["sh", "-c", f"'{USHER[0]}' -P -m tasks.cli {command}"]
    done = subprocess.run(argv, env=place.env, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stderr.splitlines(keepends=True) if not JOB.search(line) or "usher:" in line]
    assert (done.returncode, len(lines), "".join(lines)[: len(said)]) == (status, bool(said), said)


def test_a_killed_commands_job_is_paused_and_named(own_place: Place) -> None:
    """The next command's worker does not go on with it unasked."""
    argv = [*USHER, "invite", own_place.guests(600, "killed"), "-c", "sandbox", "--json"]
    with subprocess.Popen(
        argv, env=own_place.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = wait_until(lambda: JOB.search(process.stderr.readline() if process.stderr else ""), 20, "the job's id")
        time.sleep(1.5)
        process.kill()
    done = own_place.usher("invite", "next@example.org", "-c", "sandbox", "--json")
    assert done.status == 0
    assert f"1 unfinished job from before: {line[1]} (paused, " in done.err
    assert f"usher jobs resume {line[1]}" in done.err
    assert json.loads(own_place.usher("jobs", "show", line[1], "--json").out)["state"] == "paused"


def test_with_usher_up_a_job_is_left_running(own_place: Place) -> None:
    """--detach returns at once with status 3 and the job ends by itself; under nohup also where the terminal has ended."""
    log = own_place.folder / "up.log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(("nohup", *USHER, "up"), log, own_place.env | {"FLOWER_PORT": str(port)}, own_place.folder) as up:
        wait_until(lambda: "Ready." in log.read_text(), 40, "usher up")
        up.send_signal(signal.SIGHUP)
        done = own_place.usher("invite", own_place.guests(50, "left"), "-c", "contoso", "--detach", "--json")
        assert (done.status, done.job["rows"]) == (3, 50)
        watched = own_place.usher("jobs", "watch", done.job["job"], "--json")
        assert (watched.status, watched.job["invited"]) == (0, 50)
    said = [line for line in log.read_text().splitlines() if not line.startswith("nohup:")]
    assert [line.split()[0] for line in said] == ["Ready.", "Pages", "Next", "Logs", "Redis", "Ending:"], (
        "and no line of Celery's"
    )
    assert f"http://127.0.0.1:{port}" in said[1]
    assert "usher invite" in said[2]
    logs = find_folders(own_place.env).logs
    assert str(logs) in said[3]
    assert "ready." in (logs / "worker.log").read_text()
