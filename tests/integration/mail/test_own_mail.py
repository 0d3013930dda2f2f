"""A job mails its guests itself: a real worker, the sandbox's mail server and its mailbox, with
their faults.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from config.reader import load_settings
from tasks.rows.row import ValidRow
from tasks.submit import Loaded, load, start
from tests.sandboxes import Sandbox
from tests.sites import QUOTA, Site, kill, open_site
from worker.ledger.gates import HoldReason
from worker.ledger.model import Counts, Options
from worker.ledger.stages import stage_id

ROLES = ("User.Invite.All", "User.Read.All", "Mail.Send")
_ZLIB = 0x78  # its first byte
KEY = "a-ledger-key-for-tests-only"
MAILBOX = {"deliver": '"mailbox"', "mailbox": '"invites@contoso.example"', "mailbox_rate": '"60000/min"'}
SMTP = {"deliver": '"smtp"'}


@asynccontextmanager
async def mailing_site(
    url: str, sandbox: Sandbox, table: Mapping[str, str], smtp_rate: str = "60000/min"
) -> AsyncIterator[Site]:
    """A place whose connection mails itself, by the sandbox's mail server or its mailbox."""
    told = sandbox.ready["smtp"]
    server = (
        f'[smtp]\nurl = "smtps://{told["user"]}@{told["host"]}:{told["port"]}"\n'
        f'password = "file:{told["password_file"]}"\nfrom = "Contoso <guests@contoso.example>"\nrate = "{smtp_rate}"\n'
    )
    lines: dict[str, Any] = dict(table)
    async with open_site(
        url, sandbox, latency="0.01", replication="0", roles=ROLES, quota=QUOTA + server, **lines
    ) as site:
        yield site


@pytest.fixture(params=[SMTP, MAILBOX], ids=["smtp", "mailbox"])
async def site(valkey_url: str, sandbox: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """Either way of mailing."""
    async with mailing_site(valkey_url, sandbox, request.param) as site:
        yield site


@pytest.fixture
async def by_smtp(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """Through the mail server."""
    async with mailing_site(valkey_url, sandbox, SMTP) as site:
        yield site


@pytest.fixture
async def by_mailbox(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """From the mailbox."""
    async with mailing_site(valkey_url, sandbox, MAILBOX) as site:
        yield site


def start_worker(site: Site) -> Any:
    """Start a worker that can open links."""
    return site.start_worker(more_env=with_key(site))


def with_key(site: Site) -> dict[str, str]:
    """Return what names the ledger key to a command or a worker."""
    key = site.folder / "ledger.key"
    key.write_text(KEY)
    return {"USHER_LEDGER__KEY": f"file:{key}"}


async def submit(
    site: Site, rows: Sequence[Mapping[str, Any]], *, job: str = "root", options: Options | None = None
) -> str:
    """Submit a list; returns the job's id."""
    connection = load_settings(site.env | with_key(site)).connection("contoso")
    given = [ValidRow(n, n, dict(row)) for n, row in enumerate(rows, 1)]
    loaded = await load(site.desk.jobs, connection, given, job=job, options=options)
    assert isinstance(loaded, Loaded)
    await start(site.desk.jobs, loaded)
    return job


def people(count: int) -> list[dict[str, Any]]:
    """Return rows of guests."""
    return [{"email": f"g{n}@partner.example", "display_name": f"Guest {n}", "language": "de"} for n in range(count)]


def mails(site: Site, via: str) -> list[dict[str, Any]]:
    """Return what the sandbox was handed."""
    found: list[dict[str, Any]] = site.sandbox.ask(f"mails?via={via}&limit=5000")
    return found


def all_mails(site: Site) -> list[dict[str, Any]]:
    """Return what the sandbox was handed, whichever way."""
    return mails(site, "smtp") + mails(site, "sendMail")


async def stage_results(site: Site, job: str) -> Counter[str]:
    """Return how the mails of a job went, by its results."""
    return Counter(row["mail_status"] for row in await site.results(job))


async def test_each_guest_gets_one_mail_of_ours(site: Site) -> None:
    """In the row's language, with the guest's own link; Microsoft mails nobody. Counts and results
    tell of it.
    """
    job = await submit(site, [*people(30), {"email": "no@partner.example", "send_message": True}])
    start_worker(site)
    view = await site.ended(job)
    assert view.counts == Counts(rows=31, done=31)
    assert view.stages == {"mail": Counts(rows=31, done=31)}
    sent = all_mails(site)
    assert Counter(one["to"] for one in sent) == Counter(row["email"] for row in await site.results(job))
    assert mails(site, "invitation") == []
    one = next(one for one in sent if one["to"] == "g7@partner.example")
    assert one["subject"].endswith("lädt Sie ein")
    assert "Guten Tag Guest 7," in one["text"] + one["html"]
    ids = {row["email"]: row["user_id"] for row in await site.results(job)}
    for one in sent:
        assert f"user={ids[one['to']]}" in (one["text"] + one["html"])
    assert await stage_results(site, job) == {"done": 31}
    assert {row["mail"] for row in await site.results(job)} == {"requested"}


async def test_lost_answers_and_refusals_of_a_mail_server(by_smtp: Site) -> None:
    """Nobody is mailed twice: what may have arrived is told as in doubt, who is refused with the
    server's words, and the rest is sent.
    """
    by_smtp.sandbox.ask("faults", {"spec": "lost@smtp=1*2"})
    rows = [
        *people(30),
        {"email": "a@refused.example"},
        {"email": "b@full.example"},
        *[{"email": "last@partner.example"}],
    ]
    job = await submit(by_smtp, rows)
    start_worker(by_smtp)
    view = await by_smtp.ended(job, 60)
    assert view.stages["mail"] == Counts(rows=33, done=29, failed=2, in_doubt=2)
    assert by_smtp.sandbox.ask("stats")["mails"]["max_per_address"] == 1
    results = {row["email"]: row for row in await by_smtp.results(job)}
    refused = results["a@refused.example"]
    assert (refused["status"], refused["mail_status"]) == ("invited", "failed")
    assert "550 5.1.1 The recipient is not known here." in refused["mail_error"]
    doubtful = {email for email, row in results.items() if row["mail_status"] == "in_doubt"}
    assert {"does not mail again by itself" in results[email]["mail_error"] for email in doubtful} == {True}
    assert doubtful <= {one["to"] for one in mails(by_smtp, "smtp")}


async def test_throttling_and_lost_answers_of_a_mailbox(by_mailbox: Site) -> None:
    """A 429 slows down and loses nothing; an answer that was lost stays in doubt."""
    by_mailbox.sandbox.ask("faults", {"spec": "429@send_mail=1*3,504-after@send_mail=1*2"})
    job = await submit(by_mailbox, people(30))
    start_worker(by_mailbox)
    view = await by_mailbox.ended(job, 60)
    assert view.stages["mail"] == Counts(rows=30, done=28, in_doubt=2)
    stats = by_mailbox.sandbox.ask("stats")
    assert stats["mails"]["max_per_address"] == 1
    assert stats["requests"]["send_mail"]["429"] == 3
    assert len(mails(by_mailbox, "sendMail")) == 30


async def test_a_guest_who_is_put_off_waits_alone(by_smtp: Site) -> None:
    """The others are mailed meanwhile."""
    job = await submit(by_smtp, [{"email": "slow@later.example"}, *people(20)])
    start_worker(by_smtp)

    async def rest_is_mailed() -> bool:
        return (await by_smtp.view(job)).stages["mail"].done == 20

    await by_smtp.until("twenty mails", rest_is_mailed)
    assert (await by_smtp.view(job)).stages["mail"] == Counts(rows=21, done=20, pending=1)

    async def is_told() -> bool:
        return "refused for now" in (await by_smtp.view(job)).stage_waits.get("mail", "")

    await by_smtp.until("a reason", is_told)


async def test_a_guest_who_is_put_off_waits_where_mails_are_few(valkey_url: str, sandbox: Sandbox) -> None:
    """A chunk that waits for the mail server's rate begins again with the others: the one who was
    put off is not asked for before that guest's own time, and holds up nobody.
    """
    async with mailing_site(valkey_url, sandbox, SMTP, smtp_rate="30/min") as site:
        job = await submit(site, [{"email": "slow@later.example"}, *people(2)])
        start_worker(site)

        async def rest_is_mailed() -> bool:
            return (await site.view(job)).stages["mail"].done == 2

        await site.until("two mails", rest_is_mailed)
        assert site.sandbox.ask("stats")["requests"]["smtp_recipient"]["451"] == 1


async def test_who_was_a_guest_before_is_mailed_on_purpose_only(by_smtp: Site) -> None:
    """Not by the same list again; by --resend, with a new link."""
    start_worker(by_smtp)
    await by_smtp.ended(await submit(by_smtp, people(5)))
    again = await submit(by_smtp, people(6), job="again")
    view = await by_smtp.ended(again)
    assert view.stages["mail"] == Counts(rows=6, done=1, skipped=5)
    assert by_smtp.sandbox.ask("stats")["mails"]["max_per_address"] == 1
    resent = await submit(by_smtp, people(2), job="resent", options=Options(resend=True))
    assert (await by_smtp.ended(resent)).stages["mail"] == Counts(rows=2, done=2)
    assert by_smtp.sandbox.ask("stats")["mails"]["max_per_address"] == 2


async def test_the_link_is_in_the_mail_and_nowhere_else(site: Site) -> None:
    """Not in Redis in the open, not in a log, not beside the stage's outcomes."""
    job = await submit(site, people(15))
    start_worker(site)
    await site.ended(job)
    tickets = {
        part.split("&")[0] for one in all_mails(site) for part in (one["text"] + one["html"]).split("ticket=")[1:]
    }
    assert len(tickets) == 15
    held = await _everything(site)
    log = site.log_of(1).read_bytes()
    for ticket in tickets:
        assert ticket.encode() not in held
        assert ticket.encode() not in log
    assert b"partner.example" not in log


async def _everything(site: Site) -> bytes:
    """Return every value of the ledger, and what unpacks of it."""
    client: Any = site.desk.client
    found = []
    async for key in client.scan_iter(match=f"{site.desk.keys.prefix}:*"):
        kind = await client.type(key)
        match kind:
            case b"string":
                found.append(await client.get(key))
            case b"hash":
                found += [part for pair in (await client.hgetall(key)).items() for part in pair]
            case b"list":
                found += await client.lrange(key, 0, -1)
            case b"set":
                found += list(await client.smembers(key))
            case b"zset":
                found += await client.zrange(key, 0, -1)
            case b"stream":
                found += [part for _, entry in await client.xrange(key) for pair in entry.items() for part in pair]
    return b"\n".join([*found, *(_unpacked(value) for value in found)])


def _unpacked(value: bytes) -> bytes:
    """Return all that is compressed in a value, wherever it begins."""
    found = b""
    for begin in (place for place, byte in enumerate(value) if byte == _ZLIB):
        with suppress(zlib.error):
            found += zlib.decompressobj().decompress(value[begin:])
    return found


async def test_a_template_that_is_wrong_holds_the_mails_alone(by_smtp: Site) -> None:
    """Invitations go on; once it is mended, so do the mails."""
    texts = by_smtp.folder / "texts"
    texts.mkdir()
    (texts / "invite.txt").write_text("Hi {{ nmae }}\n\n{{ link }}\n")
    with (by_smtp.folder / "usher.toml").open("a") as config:
        config.write('[mail]\ntemplates = "texts"\n')
    job = await submit(by_smtp, people(10))
    start_worker(by_smtp)

    async def held() -> bool:
        return (await by_smtp.desk.gates.of("contoso+mail")).kind is HoldReason.TENANT

    await by_smtp.until("a stage that is held", held)
    why = (await by_smtp.desk.gates.of("contoso+mail")).why
    assert "The template invite.txt cannot be used ('nmae' is undefined)" in why

    async def invited() -> bool:
        return (await by_smtp.view(job)).counts.done == 10

    await by_smtp.until("ten guests", invited)
    assert all_mails(by_smtp) == []
    (texts / "invite.txt").write_text("Hi {{ name }}\n\n{{ link }}\n")
    await by_smtp.desk.gates.reopen("contoso+mail")
    assert (await by_smtp.ended(job)).stages["mail"].done == 10
    assert {one["subject"] for one in all_mails(by_smtp)} == {f"Hi Guest {n}" for n in range(10)}


async def test_a_killed_worker_leaves_few_mails_in_doubt(by_smtp: Site) -> None:
    """Those on the wire are told as such, one for each thread at most; nobody is mailed twice."""
    slow = {"fault": "slow", "on": ["smtp"], "probability": 1, "seconds": [0.1, 0.1]}  # the mail is taken by then
    by_smtp.sandbox.ask("faults", {"faults": [slow]})
    job = await submit(by_smtp, people(40))
    first = start_worker(by_smtp)

    async def mailing() -> bool:
        return "s" in await by_smtp.letters(stage_id(job, "mail"))

    await by_smtp.until("a mail on the wire", mailing)
    kill(first)
    start_worker(by_smtp)
    counts = (await by_smtp.ended(job, 60)).stages["mail"]
    assert counts.done + counts.in_doubt == 40
    assert 1 <= counts.in_doubt <= 4  # one for each of its threads
    assert by_smtp.sandbox.ask("stats")["mails"]["max_per_address"] == 1


async def test_the_command_tells_of_the_mails(by_smtp: Site) -> None:
    """In the dry run, the counts, the results; a mail that failed is tried again with a new link by
    `jobs retry`, and nobody else is mailed by that.
    """
    key = with_key(by_smtp)
    start_worker(by_smtp)
    path = by_smtp.folder / "list.csv"
    path.write_text("email,display_name\n" + "".join(f"g{n}@partner.example,Guest {n}\n" for n in range(4)))
    ask = ("invite", str(path), "-c", "contoso", "--json")
    dry = by_smtp.run(*ask, "--dry-run", **key)
    assert json.loads(dry.out)["plan"]["stages"]["mail"]["rows"] == 4
    assert all_mails(by_smtp) == []
    by_smtp.sandbox.ask("faults", {"spec": "550@smtp_recipient=1*1"})
    sent = by_smtp.run(*ask, "--yes", **key)
    told = json.loads(sent.out)
    assert (sent.status, told["invited"]) == (1, 4), sent.err
    assert {name: count for name, count in told["stages"]["mail"].items() if count} == {
        "rows": 4,
        "done": 3,
        "failed": 1,
    }
    retried = by_smtp.run("jobs", "retry", told["job"], "--yes", "--json", **key)
    assert json.loads(retried.out)["stages"]["mail"]["done"] == 1, retried.err
    stats = by_smtp.sandbox.ask("stats")["mails"]
    assert (stats["total"], stats["max_per_address"]) == (4, 1)


async def test_nobody_mails_where_nobody_is_to(valkey_url: str, sandbox: Sandbox) -> None:
    """Neither Microsoft nor usher; there is no such stage."""
    async with mailing_site(valkey_url, sandbox, {"deliver": '"none"'}) as site:
        job = await submit(site, people(5))
        start_worker(site)
        view = await site.ended(job)
        assert (view.counts.done, dict(view.stages)) == (5, {})
        assert site.sandbox.ask("stats")["mails"]["total"] == 0
