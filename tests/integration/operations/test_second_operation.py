"""A second operation, of this file alone, runs through the whole engine: what an operation needs is
one module.

It writes a company's name to guests (`PATCH /users/{id}`), which does no harm when it is done
again. A worker that imports this file (`-I`) knows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

import tasks.checks.permissions
from config.reader import load_settings
from tasks.forecast.rows import Foresight
from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site
from worker.directory.rules import fetch_rules
from worker.graph.batch import GraphRequest
from worker.graph.causes import Cause, Kind, OperationRules, Verdict
from worker.graph.verdicts import decide
from worker.ledger.audit.trail import row_lines
from worker.ledger.gates import HoldReason
from worker.ledger.model import Counts, Options, RowState
from worker.metrics.snapshot import Observer
from worker.operations.operation import Asked, Call, Channel
from worker.operations.registry import OPERATIONS, find_operation
from worker.operations.step import Step
from worker.services import open_services

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphAnswer

COMPANY = "Partner Ltd"


class Company(Step):
    """Writes a company's name to guests."""

    name = "company"
    rules = OperationRules(
        verb="change users",
        permission="User.ReadUpdate.All",
        statuses={403: Cause.NO_PERMISSION},
        read_done=lambda answer: Verdict(Kind.DONE, message="Changed.", status=answer.status),
    )
    words: Mapping[RowState, str] = {RowState.DONE: "named", RowState.ALREADY: "named so already"}
    not_there = "Not in this tenant."

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """A PATCH a row."""
        return [
            Call(
                GraphRequest(str(asked.index), "PATCH", f"/users/{asked.user.id}", {"companyName": COMPANY}),
                (asked.index,),
            )
            for asked in rows
            if asked.user
        ]

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Nothing but what goes for any write."""
        return decide(self.rules, answer, email=asked.row["email"])


assert tasks.checks.permissions.STEPS  # made of the product's operations, before this one is known
OPERATIONS.setdefault(Company.name, Company())


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may change users."""
    async with open_site(valkey_url, sandbox, latency="0.02") as site:
        site.sandbox.ask("latency", {"replication": "0"})  # whoever was invited is there at once
        yield site


ROLES = ["User.Invite.All", "User.Read.All", "User.ReadUpdate.All"]
MODULE = "tests.integration.operations.test_second_operation"


async def invite(site: Site, count: int) -> list[str]:
    """Make some guests, by the same worker; returns their addresses."""
    emails = [f"g{n}@partner.example" for n in range(count)]
    view = await site.ended(await site.load(emails))
    assert view.counts.done == count
    return emails


def named(site: Site) -> int:
    """Return how many guests of the tenant bear the company's name."""
    return sum(user["company"] == COMPANY for user in site.sandbox.ask("guests?limit=5000"))


async def test_a_list_runs_through_the_whole_engine(site: Site) -> None:
    """Looked up, changed, counted, told in results, audit and metrics in its own words; nobody is
    mailed by it.
    """
    site.sandbox.ask("policy", {"roles": ROLES})
    site.start_worker(include=MODULE)
    emails = await invite(site, 130)
    job = await site.load([*emails, "nobody@partner.example"], operation="company")
    view = await site.ended(job)
    assert (view.connection, view.operation) == ("contoso", "company")
    told = {name: count for name, count in view.counts.told(view.operation).items() if count}
    assert told == {"rows": 131, "done": 130, "failed": 1}
    assert named(site) == 130
    site.assert_all_mailed_once(130)
    results = await site.results(job)
    assert [row["status"] for row in results[-2:]] == ["done", "failed"]
    assert results[-1]["error_code"] == "not_there"
    assert {row["mail"] for row in results} == {""}
    rows = [line async for found, kept in site.desk.jobs.trail.rows(job) for line in row_lines(found, kept)]
    assert {(line["connection"], line.get("operation"), line["outcome"]) for line in rows} == {
        ("contoso", "company", "done")
    }


async def test_a_dry_run_asks_the_operation(site: Site) -> None:
    """It says what would become of each row by the operation's own judges. Of invitations nothing
    is asked; nothing is changed.
    """
    site.sandbox.ask("policy", {"roles": ROLES, "allow_invites_from": "everyone"})
    worker = site.start_worker(include=MODULE)
    emails = await invite(site, 25)
    kill(worker)
    job = await site.load([*emails, "nobody@partner.example"], operation="company")
    site.sandbox.ask("policy", {"allow_invites_from": "none"})
    for roles, would, code in ((ROLES, "company", ""), (ROLES[:2], "refuse", "no_permission")):
        site.sandbox.ask("policy", {"roles": roles})
        async with open_services(lambda: load_settings(site.env), site.url) as services:
            channel = Channel(await services.resolved("contoso"), find_operation("company"))
            foresight = Foresight(services, channel, await fetch_rules(services, channel), Options())
            rows = [row.foreseen async for row in foresight.rows(job)]
        told = [(one.would.told("company"), one.code) for one in rows]
        assert told == [*[(would, code)] * 25, ("refuse", "not_there")]
        assert foresight.gaps == []
    assert named(site) == 0


async def test_metrics_show_the_channel(site: Site) -> None:
    """Its rows beside those of invitations, its own quota, and the gate that it shares with its
    connection.
    """
    site.sandbox.ask("policy", {"roles": ROLES})
    site.start_worker(include=MODULE)
    emails = await invite(site, 25)
    await site.ended(await site.load([*emails, "nobody@partner.example"], operation="company"))
    observer = Observer(site.desk.client, site.desk.keys, lambda: load_settings(site.env))
    look = await observer.look()
    invitations, companies = look.connections["contoso"], look.connections["contoso+company"]
    assert (invitations.ended["i"], companies.ended["i"], companies.ended["f"]) == (25, 25, 1)
    assert "invitations" in invitations.levels
    assert {"writes", "writes-tenant", "writes-app"} <= companies.levels.keys()
    assert "invitations" not in companies.levels
    assert companies.is_open
    await site.desk.gates.hold("contoso", HoldReason.OPERATOR, "Not now.")
    look = await observer.look()
    assert {name: (one.is_open, one.held) for name, one in look.connections.items()} == {
        "contoso": (False, "operator"),
        "contoso+company": (False, "operator"),
    }


async def test_a_missing_right_holds_that_operation_alone(site: Site) -> None:
    """Invitations go on; once the right is there the channel opens by itself. What holds the
    connection holds both.
    """
    site.sandbox.ask("policy", {"roles": ROLES[:2]})
    site.start_worker(include=MODULE)
    emails = await invite(site, 25)
    job = await site.load(emails, operation="company")

    async def held() -> bool:
        return (await site.view(job)).gate.kind is HoldReason.PERMISSION

    await site.until("a channel that is held", held)
    assert "User.ReadUpdate.All" in (await site.view(job)).gate.why
    more = await site.ended(await site.load([f"h{n}@partner.example" for n in range(25)]))
    assert more.counts.done == 25
    assert named(site) == 0
    site.sandbox.ask("policy", {"roles": ROLES})
    await site.desk.gates.reopen("contoso")
    assert (await site.ended(job)).counts.done == 25
    await site.desk.gates.hold("contoso", HoldReason.OPERATOR, "Not now.")
    again = await site.load(emails, operation="company")
    assert (await site.view(again)).gate.why == "Not now."
    await asyncio.sleep(0.3)  # nothing may happen in this time
    assert (await site.view(again)).counts.finished == 0
    await site.desk.gates.reopen("contoso")
    assert (await site.ended(again)).counts.done == 25


async def test_trouble_on_the_way_ends_nothing(site: Site) -> None:
    """429s, lost answers and a killed worker: every row ends once, and what was lost is simply done
    again.
    """
    site.sandbox.ask("policy", {"roles": ROLES})
    first = site.start_worker(include=MODULE)
    emails = await invite(site, 300)
    site.sandbox.ask("faults", {"spec": "429@item@update_user=1*3,504-after@item@update_user=0.1"})
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.load(emails, operation="company")
    await site.some(job, 40)
    kill(first)
    site.sandbox.ask("latency", {"latency": "0.05"})
    site.start_worker(include=MODULE)
    view = await site.ended(job, 60)
    assert view.counts == Counts(rows=300, done=300)
    assert named(site) == 300
    site.assert_all_mailed_once(300)
