"""From nothing to a checked connection, as docs/entra-setup.md says: the real command, a real
terminal, the sandbox as Entra.
"""

from __future__ import annotations

import json
import re
import ssl
import sys
from pathlib import Path

import pytest

from config.reader import load_settings
from tests.places import Place, Typist
from tests.processes import running, wait_until
from tests.sandboxes import Sandbox


@pytest.fixture(autouse=True)
def as_it_was(sandbox: Sandbox) -> None:
    """The run's sandbox has the roles of whatever test came before."""
    sandbox.ask("reset", {})


def rehearsal(sandbox: Sandbox) -> tuple[str, ...]:
    """Where a real connection would name a cloud."""
    ready = sandbox.ready
    host = ready["url"]
    return ("--authority", host, "--graph-url", ready["graph_url"], "--ca-file", ready["ca_file"])


ELSEWHERE = (
    *("--tenant", "11111111-2222-3333-4444-555555555555", "--client-id", "22222222-2222-3333-4444-555555555555"),
    *("--authority", "https://127.0.0.1:1", "--graph-url", "https://127.0.0.1:1/v1.0"),
)
"""Where nobody answers."""


def ready_file(place: Place, sandbox: Sandbox) -> str:
    """The sandbox's ready file."""
    return place.write("ready.json", json.dumps(sandbox.ready))


def test_from_nothing_to_a_checked_connection_with_a_certificate(bare_place: Place, sandbox: Sandbox) -> None:
    """Questions at a terminal, a slip in each answer; then the upload, the ticket, the check."""
    typist = Typist(bare_place, "connections", "add", "trial", *rehearsal(sandbox))
    for question, slip, words, answer in (
        ("Tenant (", "nowhere.example", "There is no tenant nowhere.example", "somebody@contoso.example"),
        ("Application (client) ID:", "usher", "looks like 1111", sandbox.ready["client_id"]),
        ("[c/s]", "x", "Type c or s", "c"),
    ):
        typist.read_until(question)
        typist.type(f"{slip}\n")
        typist.read_until(words)
        typist.type(f"{answer}\n")
    done = typist.end()
    assert done.status == 0, done.err
    assert f"Tenant {sandbox.ready['tenant_id']}" in done.out
    key, public = bare_place.folder / "secrets/trial.pem", bare_place.folder / "secrets/trial.cer"
    assert (key.stat().st_mode & 0o777, (bare_place.folder / "usher.toml").stat().st_mode & 0o777) == (0o600, 0o600)
    assert "PRIVATE KEY" not in public.read_text()
    thumbprint = re.search(r"thumbprint ([0-9A-F]{40})", done.out)
    assert thumbprint
    der = ssl.PEM_cert_to_DER_cert(public.read_text())
    import hashlib

    assert hashlib.sha1(der, usedforsecurity=False).hexdigest().upper() == thumbprint[1]

    before = bare_place.usher("connections", "check", "trial")
    assert (before.status, "upload this certificate" in before.out) == (1, True)
    sandbox.ask("certificate", {"file": str(public)})
    after = bare_place.usher("connections", "check", "trial", "--for", "dry-run,tracking")
    assert after.status == 0, after.out
    assert "Guests may be invited by everybody" in after.out
    ticket = bare_place.usher("connections", "consent", "trial", "--for", "invite,tracking")
    assert ticket.status == 0
    for words in ("/adminconsent?client_id=", "User.Invite.All", "User.Read.All", f"TCP port {sandbox.port}"):
        assert words in ticket.out


def test_a_secret_is_taken_unseen(bare_place: Place, sandbox: Sandbox) -> None:
    """Its ID pasted in its place is noticed; the screen shows neither; the file is 0600 and the
    TOML only names it.
    """
    typist = Typist(bare_place, "connections", "add", "trial", "--sandbox", ready_file(bare_place, sandbox))
    typist.read_until("[c/s]")
    typist.type("s\n")
    typist.read_until("(not shown)")
    secret_id = "0f0e0d0c-1111-2222-3333-444455556666"
    typist.type(f"{secret_id}\n")
    typist.read_until("That is the secret's ID")
    typist.type("a-secret-that-nobody-made\n")
    typist.read_until("The client secret was refused")
    assert not (bare_place.folder / "secrets/trial.secret").exists()
    typist.type(f"{sandbox.secret}\n")
    done = typist.end()
    assert done.status == 0, done.err
    assert sandbox.secret not in done.out
    assert secret_id not in done.out
    kept = bare_place.folder / "secrets/trial.secret"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (sandbox.secret, 0o600)
    written = (bare_place.folder / "usher.toml").read_text()
    assert 'client_secret = "file:secrets/trial.secret"' in written
    assert sandbox.secret not in written
    assert bare_place.usher("connections", "check", "trial").status == 0


def test_options_answer_every_question(bare_place: Place, sandbox: Sandbox) -> None:
    """No terminal: all given, one object; the configuration in force is the one that is added to,
    with what stood in it.
    """
    bare_place.write("our.toml", '# kept\n[ledger]\nkeep = "9d"\n')
    bare_place.env["USHER_CONFIG"] = str(bare_place.folder / "our.toml")
    ready = ready_file(bare_place, sandbox)
    first = bare_place.usher("connections", "add", "one", "--sandbox", ready, "--certificate", "--days", "30", "--json")
    assert first.status == 0, first.err
    told = json.loads(first.out)
    assert (told["tenant_id"], told["credential"]) == (sandbox.ready["tenant_id"], "certificate")
    assert Path(told["upload"]).exists()
    piped = bare_place.usher(
        *("connections", "add", "two", "--sandbox", ready, "--secret-file", "-", "--json"), text=sandbox.secret + "\n"
    )
    assert piped.status == 0, piped.err
    named = bare_place.usher(
        *("connections", "add", "three", "--sandbox", ready),
        *("--secret-file", sandbox.ready["client_secret_file"], "--json"),
    )
    assert named.status == 0, named.err
    settings = load_settings(bare_place.env)
    assert set(settings.connections) == {"one", "two", "three"}
    assert settings.ledger.keep_s == 9 * 86400
    assert (bare_place.folder / "our.toml").read_text().startswith("# kept\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Contoso", "--sandbox", "READY", "--certificate"), "cannot be a connection's name"),
        (("a", "--certificate"), "--tenant is missing, and there is no terminal"),
        (("a", "--sandbox", "READY"), "--certificate (or --secret-file) is missing"),
        (("a", "--sandbox", "nothing.json", "--certificate"), "is not the ready file of a running sandbox"),
        (
            ("a", "--sandbox", "READY", "--tenant", "nowhere.example", "--certificate"),
            "There is no tenant nowhere.example",
        ),
        (("a", "--sandbox", "READY", "--tenant", "common", "--certificate"), "must be one tenant"),
        (("a", "--sandbox", "READY", "--client-id", "x", "--certificate"), "looks like"),
        (("a", "--sandbox", "READY", "--certificate", "--secret-file", "x"), "Give one of"),
        (("a", "--sandbox", "READY", "--secret-file", "missing"), "missing, which does not exist"),
        (("a", "--sandbox", "READY", "--secret-file", "guid"), "That is the secret's ID"),
        (("a", "--sandbox", "READY", "--secret-env", "1x"), "must name an environment variable"),
        (("a", "--sandbox", "READY", "--secret-file", "wrong"), "The client secret was refused"),
        (("a", "--sandbox", "READY", "--secret-env", "WRONG_SECRET"), "The client secret was refused"),
        (("a", "--sandbox", "READY", "--ca-file", "missing.pem", "--certificate"), "missing.pem"),
        (
            ("a", *ELSEWHERE, "--certificate"),
            "So nobody can say whether this connection works, and nothing was written.",
        ),
        (("a", "--sandbox", "READY", "--certificate-file", "missing"), "there is no file missing"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    bare_place: Place, sandbox: Sandbox, arguments: tuple[str, ...], words: str
) -> None:
    """Status 2, and nothing lies about afterwards."""
    ready = ready_file(bare_place, sandbox)
    bare_place.write("guid", "0f0e0d0c-1111-2222-3333-444455556666\n")
    bare_place.write("wrong", "a-secret-that-nobody-made\n")
    bare_place.env["WRONG_SECRET"] = "another-secret-that-nobody-made"
    done = bare_place.usher("connections", "add", *(ready if part == "READY" else part for part in arguments))
    assert done.status == 2
    assert words in done.err
    assert not (bare_place.folder / "usher.toml").exists()
    assert not list(bare_place.folder.glob("secrets/*"))


def test_ctrl_c_leaves_nothing(bare_place: Place, sandbox: Sandbox) -> None:
    """At the question for the secret too: the screen shows what is typed again."""
    typist = Typist(bare_place, "connections", "add", "trial", "--sandbox", ready_file(bare_place, sandbox))
    typist.read_until("[c/s]")
    typist.type("s\n")
    typist.read_until("(not shown)")
    while typist.is_running(2.0):  # what is typed in the moment before the screen stops showing it is thrown away
        typist.type("\x03")
    done = typist.end()
    assert (done.status, "Stopped; nothing was written." in done.out) == (2, True), done.out
    assert not (bare_place.folder / "usher.toml").exists()


def test_the_check_says_what_is_missing(bare_place: Place, sandbox: Sandbox) -> None:
    """By permission and reason; and that nobody may invite."""
    bare_place.usher(
        *("connections", "add", "trial", "--sandbox", ready_file(bare_place, sandbox)),
        *("--secret-file", sandbox.ready["client_secret_file"]),
    )
    try:
        sandbox.ask("policy", {"allow_invites_from": "none", "roles": ["User.Invite.All", "Policy.Read.All"]})
        done = bare_place.usher("connections", "check", "trial", "--for", "tracking")
        assert done.status == 1
        assert "Nobody may invite guests into this tenant" in done.out
        assert "Missing: the application permission User.Read.All with admin consent, to see which guests" in done.out
        sandbox.ask("policy", {"allow_invites_from": "everyone", "roles": ["User.Invite.All"]})
        done = bare_place.usher("connections", "check", "trial")
        assert done.status == 0
        marks = {line[3:]: line[0] for line in done.out.splitlines() if line[:3] in ("✓  ", "✗  ", "–  ")}
        told = {mark: " ".join(what for what, its in marks.items() if its == mark) for mark in "✓–"}
        assert "The app may invite guests." in told["✓"]
        assert "may not" not in told["✓"], "what is merely absent is not well"
        assert "Granting Policy.Read.All would let usher look" in told["–"]
        sandbox.ask("policy", {"roles": ["User.Invite.All", "User.ReadUpdate.All"]})
        done = bare_place.usher("connections", "check", "trial", "--for", "lookup,tracking")
        assert done.status == 0
        assert "The app may read users" in done.out
    finally:
        sandbox.ask(
            "policy", {"roles": ["User.Invite.All", "User.Read.All", "Organization.Read.All", "Policy.Read.All"]}
        )


def test_what_could_not_be_tried_is_asked_about(bare_place: Place) -> None:
    """Only a yes writes it."""
    for answer, status in (("\n", 2), ("y\n", 0)):
        typist = Typist(bare_place, "connections", "add", "later", *ELSEWHERE, "--certificate")
        typist.read_until("Write it all the same? [y/N]")
        typist.type(answer)
        done = typist.end()
        assert (done.status, (bare_place.folder / "usher.toml").exists()) == (status, status == 0), done.out
        assert (bare_place.folder / "secrets").exists() == (status == 0), "no empty folder is left"


def test_a_folder_of_keys_that_is_used_meanwhile_stays(bare_place: Place) -> None:
    """By another command; what is told is why nothing was written."""
    typist = Typist(bare_place, "connections", "add", "later", *ELSEWHERE, "--certificate")
    typist.read_until("Write it all the same? [y/N]")
    (bare_place.folder / "secrets" / "other.pem").touch()
    typist.type("\n")
    done = typist.end()
    assert (done.status, [path.name for path in bare_place.folder.glob("secrets/*")]) == (2, ["other.pem"])
    assert "Not confirmed" in done.out
    assert "not empty" not in done.out


def test_the_ready_file_is_good_from_any_folder(bare_place: Place) -> None:
    """A sandbox that was started with relative paths writes down whole ones."""
    argv = [sys.executable, "-P", "-m", "sandbox", "--ready-file", "here.json", "--state-dir", "here"]
    with running(argv, bare_place.folder / "sandbox.log", bare_place.env, bare_place.folder) as process:
        path = bare_place.folder / "here.json"
        wait_until(lambda: path.exists() or process.poll() is not None, 20, "the ready file")
        ready = json.loads(path.read_text())
        for key in ("ca_file", "certificate_file", "client_secret_file"):
            assert Path(ready[key]).is_absolute(), key
        (bare_place.folder / "elsewhere").mkdir()
        elsewhere = Place(bare_place.folder / "elsewhere", bare_place.env)
        added = elsewhere.usher(
            *("connections", "add", "trial", "--sandbox", "../here.json"),
            *("--secret-file", ready["client_secret_file"]),
        )
        assert added.status == 0, added.err
        assert "signing in works" in added.out


def test_a_connection_is_removed_once_its_jobs_have_ended(bare_place: Place, sandbox: Sandbox) -> None:
    """Only out of the file, after a question; a job that has not ended is in the way, unless
    told.
    """
    bare_place.usher(
        *("connections", "add", "trial", "--sandbox", ready_file(bare_place, sandbox)),
        *("--secret-file", sandbox.ready["client_secret_file"]),
    )
    bare_place.write("usher.toml", (bare_place.folder / "usher.toml").read_text() + '\n# ours\n[ledger]\nkeep = "9d"\n')
    guests = ("a@fabrikam.example", "b@fabrikam.example")
    job = bare_place.usher("invite", *guests, "-c", "trial", "--pilot", "1", "--json").job["job"]
    refused = bare_place.usher("connections", "remove", "trial")
    assert (refused.status, f"Job {job} (paused) of connection trial has not ended" in refused.err) == (2, True)
    typist = Typist(bare_place, "connections", "remove", "trial", "--with-open-jobs")
    asked = typist.read_until("[y/N]")
    assert "Rows of its open jobs wait" in asked
    typist.type("\n")
    assert typist.end().status == 2
    assert bare_place.usher("jobs", "cancel", job).status == 0
    done = bare_place.usher("connections", "remove", "trial")
    assert done.status == 0, done.err
    assert sandbox.ready["client_secret_file"] in done.out
    assert Path(sandbox.ready["client_secret_file"]).exists()
    assert (bare_place.folder / "usher.toml").read_text() == '# ours\n[ledger]\nkeep = "9d"\n'
    assert "There is no connection" in bare_place.usher("connections", "remove", "trial").err
    assert "is built in" in bare_place.usher("connections", "remove", "sandbox").err
