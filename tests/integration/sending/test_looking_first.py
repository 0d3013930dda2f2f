"""The look-up before the first send, on a real sandbox: while nobody can tell who is there, nobody
is invited; it is said, and passes.
"""

from __future__ import annotations

import pytest

from tasks.messages.views import outcome_of
from tests.clocked import Clocked
from worker.ledger.model import Counts, Lane
from worker.sending.verifier import verify

pytestmark = pytest.mark.sandbox(latency="0")

PENDING, NEW = "pending@partner.example", "new@partner.example"
LATER_MS = 120_000
"""Longer than any wait between two tries."""
FAULTS = {
    "throttled": "429@users=1",
    "throttled one by one": "429@item@users=1",
    "unavailable": "503@users=1",
    "unavailable one by one": "503@item@users=1",
    "failing": "500-before@item@users=1",
    "gone": "reset@users=1",
    "a page of a proxy": "html@users=1",
    "half an answer": "half@item@users=1",
    "token refused": "invalid-token@users=1",
}


def invitations(clocked: Clocked) -> int:
    """How many invitations the sandbox has received."""
    stats = clocked.site.sandbox.ask("stats")
    counts: list[dict[str, int]] = [stats[of].get("invite", {}) for of in ("items", "requests")]
    return sum(sum(by_status.values()) for by_status in counts)


async def end(clocked: Clocked, job: str) -> Counts:
    """Let Graph work again and time pass; returns how the job ended."""
    clocked.site.sandbox.ask("faults", {"spec": ""})
    await clocked.move(LATER_MS)
    for _ in range(20):
        await clocked.tick()
        view = await clocked.site.view(job)
        if view.ended:
            return view.counts
    raise AssertionError("the job does not end")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_nobody_is_invited_while_nobody_can_tell_who_is_there(clocked: Clocked, fault: str) -> None:
    """A guest whose invitation is pending would be mailed a second time. The job waits and says
    why; then she is found, and not mailed.
    """
    clocked.site.sandbox.ask("faults", {"spec": fault})
    job = await clocked.site.load([PENDING, NEW])
    for _ in range(3):
        await clocked.tick()
    view = await clocked.site.view(job)
    assert (view.counts, invitations(clocked)) == (Counts(rows=2, pending=2), 0)
    assert view.gate.trouble or view.gate.closed_why
    assert await end(clocked, job) == Counts(rows=2, done=1, already=1)
    assert clocked.site.sandbox.ask("mails", None)[0]["to"] == NEW
    assert not (await clocked.site.view(job)).gate.trouble


async def test_a_single_guest_waits_too_and_whoever_waits_is_told_why(clocked: Clocked) -> None:
    """`usher.invite_guest` answers that the row is pending, and what it waits for."""
    fault = {"fault": "503", "on": ["users"], "retry_after": "100"}  # so long is it told
    clocked.site.sandbox.ask("faults", {"faults": [fault]})
    job = await clocked.site.load([PENDING], lane=Lane.NOW)
    ticket = await clocked.services.ledger.offers.make(job, 0, "contoso", Lane.NOW)
    assert ticket
    assert "waits until the directory can be asked" in (await clocked.runner.run(ticket))["rest"]
    outcome = await outcome_of(clocked.services, job)
    assert outcome["status"] == "pending"
    assert "cannot be looked up now" in outcome["why"]
    shown = clocked.site.run("jobs", "show", job)
    assert "cannot be looked up now" in " ".join(f"{shown.out} {shown.err}".split())
    assert await end(clocked, job) == Counts(rows=1, already=1)
    assert invitations(clocked) == 0


@pytest.mark.sandbox(lease_s=15, settle_s=60)
async def test_what_can_be_told_of_others_does_not_wait(clocked: Clocked) -> None:
    """One question in two fails, whatever is asked: rows of which everything was answered go, the
    others wait by themselves.
    """
    people = [PENDING, *(f"new-{n}@partner.example" for n in range(39))]
    clocked.site.sandbox.ask("faults", {"spec": "503@item@users=1*1"})
    job = await clocked.site.load(people)
    await clocked.tick()
    view = await clocked.site.view(job)
    assert view.counts.done > 0
    assert view.counts.pending > 0
    assert "these rows wait" in view.gate.trouble
    assert await end(clocked, job) == Counts(rows=40, done=39, already=1)
    clocked.site.assert_all_mailed_once(39)


async def test_an_app_that_may_not_read_sends_unlooked(clocked: Clocked) -> None:
    """Nobody could look later either: Graph itself says who is there."""
    clocked.site.sandbox.ask("policy", {"roles": ["User.Invite.All"]})
    job = await clocked.site.load([NEW])
    assert await end(clocked, job) == Counts(rows=1, done=1)


LETTERS, IDNA = "ann@m\u00fcnchen.example", "ann@xn--mnchen-3ya.example"


@pytest.mark.parametrize("kept", ["given", "ascii", "unicode"])
@pytest.mark.parametrize("typed", [LETTERS, IDNA], ids=["letters", "idna"])
async def test_a_lost_answer_for_an_international_domain_is_looked_up(clocked: Clocked, typed: str, kept: str) -> None:
    """However the list spells it and the tenant keeps it: one mail, and the row is invited."""
    clocked.site.sandbox.ask("latency", {"replication": "0"})
    clocked.site.sandbox.ask("policy", {"spelling": kept})
    clocked.site.sandbox.ask("faults", {"spec": "504-after@invite=1*1"})
    job = await clocked.site.load([typed])
    await clocked.tick()
    assert await clocked.site.letters(job) == "d"
    assert await end(clocked, job) == Counts(rows=1, done=1)
    clocked.site.assert_all_mailed_once(1)


@pytest.mark.parametrize(("typed", "kept"), [(LETTERS, IDNA), (IDNA, LETTERS)], ids=["letters", "idna"])
async def test_a_guest_of_an_international_domain_is_found_before_the_first_send(
    clocked: Clocked, typed: str, kept: str
) -> None:
    """Kept in the other spelling, invited by somebody else and pending: not mailed again."""
    clocked.site.sandbox.ask("users", {"action": "add", "email": kept, "state": "PendingAcceptance"})
    job = await clocked.site.load([typed])
    assert await end(clocked, job) == Counts(rows=1, already=1)
    assert invitations(clocked) == 0


async def test_verify_asks_for_both_spellings(clocked: Clocked) -> None:
    """What was restored from a backup is looked up like any other row."""
    clocked.site.sandbox.ask("users", {"action": "add", "email": LETTERS, "state": "PendingAcceptance"})
    await clocked.site.load([IDNA])
    (verified,) = (await verify(clocked.services)).connections
    assert (verified.ended["already_guest"], verified.absent) == (1, 0)


@pytest.mark.parametrize(
    ("holder", "address", "counts"),
    [
        (
            {
                "email": "bob@partner.example",
                "other_mails": [],
                "proxy_addresses": ["SMTP:bob@partner.example", "smtp:b@new.example"],
            },
            "b@new.example",
            Counts(rows=1, already=1),
        ),
        (
            {
                "email": "bob@partner.example",
                "mail": None,
                "other_mails": [],
                "proxy_addresses": ["SMTP:bob@partner.example"],
            },
            "bob@partner.example",
            Counts(rows=1, already=1),
        ),
        (
            {"email": "bob@contoso.example", "mail": None, "proxy_addresses": [], "user_type": "Member"},
            "bob@contoso.example",
            Counts(rows=1, failed=1),
        ),
    ],
    ids=["second proxy address", "proxy address alone", "member by name alone"],
)
async def test_who_holds_an_address_is_found_by_whichever_property(
    clocked: Clocked, holder: dict[str, object], address: str, counts: Counts
) -> None:
    """`mail` and `otherMails` are not all: Microsoft's page names `proxyAddresses` and
    `userPrincipalName` too.
    """
    clocked.site.sandbox.ask("users", {"action": "add", "state": "PendingAcceptance", **holder})
    job = await clocked.site.load([address])
    assert await end(clocked, job) == counts
    assert invitations(clocked) == 0
