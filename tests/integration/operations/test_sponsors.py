"""Sponsors go with the invitation where Graph takes them, at no write of their own."""

from __future__ import annotations

from tests.sites import Site
from worker.ledger.job_targets import JobTargets, Target, TargetKind
from worker.ledger.model import Lane


async def submit(site: Site, count: int, **sponsors: str) -> str:
    """Submit guests who name some sponsors, whose ids the job knows; returns the job's id."""
    site.desk.made += 1
    jobs = site.desk.jobs
    loading = await jobs.create(f"s{site.desk.made}", "contoso", Lane.BULK)
    assert loading is not None
    for n in range(count):
        loading.put({"email": f"{loading.id}.{n}@partner.example", "sponsors": [*sponsors, "unknown"]})
    known = [Target(one, name, TargetKind.SPONSOR, collection="users") for name, one in sponsors.items()]
    await JobTargets(site.desk.client, site.desk.keys).keep(loading.id, known)
    await jobs.start(loading)
    return loading.id


def sponsors_of(site: Site, job: str) -> list[list[str]]:
    """Return the sponsors of a job's guests."""
    guests = site.sandbox.ask("guests?limit=5000")
    return [guest["sponsors"] for guest in guests if guest["email"].startswith(f"{job}.")]


async def test_sponsors_go_with_the_invitation(site: Site) -> None:
    """Those that the job knows; the others are left to the step. One that Graph does not take holds
    nobody's invitation up.
    """
    site.start_worker()
    first = await site.load(["ada@partner.example"])
    await site.ended(first)
    ada = site.sandbox.ask("guests?address=ada@partner.example")[0]["id"]
    job = await submit(site, 30, ada=ada)
    assert (await site.ended(job)).counts.done == 30
    assert sponsors_of(site, job) == [[ada]] * 30
    gone = "99999999-9999-4999-8999-999999999999"
    job = await submit(site, 30, gone=gone)
    assert (await site.ended(job)).counts.done == 30
    assert sponsors_of(site, job) == [[]] * 30
    site.assert_all_mailed_once(61)
