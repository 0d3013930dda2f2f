"""What a command refuses, on real streams and servers: one sentence, and a status that says whether
rows were accepted.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.needs import need
from tests.places import JOB, Place
from tests.processes import USHER, running, wait_until
from tests.sites import OwnValkey

NO_ROOM = "usher: Not everything could be written (no space left on device): whoever runs this machine makes room."
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
    """Reading commands included; the built-in sandbox is refused behind a Redis of the
    operator's.
    """
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


def test_a_reader_that_leaves_early_is_no_error(place: Place) -> None:
    """`| head -1` is silent, and its status does not say that rows failed."""
    job = place.usher("invite", place.guests(200, "pipe"), "-c", "sandbox", "--json").job["job"]
    command = f"('{USHER[0]}' -P -m cli jobs results {job}; echo $? >&2) | true"
    done = subprocess.run(["sh", "-c", command], env=place.env, capture_output=True, text=True, timeout=30)
    assert done.stderr == "0\n"


def test_a_frozen_redis_is_a_sentence(place: Place) -> None:
    """It takes connections and never answers; nobody is left in front of a silent command for
    minutes.
    """
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
        ("invite - -c sandbox <&-", 2, "usher: Standard input is empty. Nothing was sent.\n"),
        ("invite nowhere.csv -c sandbox 2>&-", 2, ""),
        ("invite full@fabrikam.example -c sandbox --json > /dev/full", 3, NO_ROOM),
    ],
)
def test_a_closed_or_full_stream_is_no_fault_of_ushers(place: Place, command: str, status: int, said: str) -> None:
    """Nothing to write to is like /dev/null; no room is a sentence, and the status says whether
    rows were accepted.
    """
    argv = ["sh", "-c", f"'{USHER[0]}' -P -m cli {command}"]
    done = subprocess.run(argv, env=place.env, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stderr.splitlines(keepends=True) if not JOB.search(line) or "usher:" in line]
    assert (done.returncode, len(lines), "".join(lines)[: len(said)]) == (status, bool(said), said)
