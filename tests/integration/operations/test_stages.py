"""What comes after the invitation is done for each guest by jobs of other operations, fed while the
invitations end: a real worker, the sandbox, its profiles and groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from config.reader import load_settings
from tests.sandboxes import Sandbox
from tests.sites import Site, open_site
from tests.staged import ROLES, companies, make_groups, make_rows, members, submit, until_stage, wanted, writes
from worker.ledger import packing
from worker.ledger.model import Counts, JobState, Lane, Options
from worker.ledger.stages import stage_id
from worker.people.forget import forget
from worker.services import open_services


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may change users and groups."""
    async with open_site(valkey_url, sandbox, latency="0.02", replication="0", roles=ROLES) as site:
        make_groups(site)
        yield site


async def test_each_guest_goes_through_the_stages_of_its_row(site: Site) -> None:
    """Profile and groups are done for whoever was invited, each once, in as few writes as there can
    be; counts and results tell of each stage.
    """
    given = [*make_rows(120), {"email": "plain@partner.example"}]
    job = await submit(site, given)
    site.start_worker()
    view = await site.ended(job)
    assert view.state is JobState.DONE
    assert view.counts == Counts(rows=121, done=121)
    assert view.stages == {"profile": Counts(rows=120, done=120), "groups": Counts(rows=120, done=120)}
    assert companies(site)["Partner Ltd"] == 120
    assert members(site) == wanted(given)
    assert writes(site, "update_group") == 4 * 3
    assert writes(site, "update_user") == 120
    results = await site.results(job)
    assert [row["groups_status"] for row in results] == [*["done"] * 120, ""]
    assert {row["groups_error"] + row["profile_error"] for row in results} == {""}
    site.assert_all_mailed_once(121)
    assert [view.id for view in await site.desk.jobs.listed()] == [job]
    assert await site.desk.jobs.matching("root") == [job]
    assert (await site.view(stage_id(job, "groups"))).counts == Counts(rows=240, done=240)


async def test_a_guest_who_is_not_shown_yet_is_waited_for(site: Site) -> None:
    """The directory lags behind the invitation: each step waits for its guest, says so, and nobody
    is failed or invited twice for it. The others of the list do not wait.
    """
    site.sandbox.ask("latency", {"replication": "2"})
    given = make_rows(30)
    job = await submit(site, given)
    site.start_worker()

    async def waits() -> bool:
        return "directory knows the guest" in (await site.view(job)).stage_waits.get("profile", "")

    await site.until("a stage that waits", waits)
    assert (await site.view(job)).counts == Counts(rows=30, done=30)
    view = await site.ended(job)
    assert view.stages == {"profile": Counts(rows=30, done=30), "groups": Counts(rows=30, done=30)}
    assert members(site) == wanted(given)
    assert writes(site, "update_user") == 30


async def test_how_a_row_ends_decides_what_its_stages_do(site: Site) -> None:
    """Whoever is in the tenant goes on: invited now or before, by any job, or with a lost answer.
    Who is refused is skipped, with the reason; one bad group fails that guest's stage alone.
    """
    site.start_worker()
    before = await submit(site, [{"email": "old@partner.example"}], job="before")
    await site.ended(before)
    site.sandbox.ask("faults", {"spec": "504-after@item@invite=1/3"})
    given = [
        {"email": "old@partner.example", "groups": ["G0"]},
        {"email": "refused@blocked.example", "groups": ["G0"], "company": "Blocked"},
        {"email": "bad@partner.example", "groups": ["G1", "No such group"]},
        *make_rows(20, groups=1),
        {"email": "g0@partner.example", "groups": ["G3"]},
    ]
    job = await submit(site, given)
    view = await site.ended(job, 60)
    site.sandbox.ask("faults", {"spec": ""})
    assert view.counts.skipped == 2
    assert view.stages["groups"] == Counts(rows=24, done=21, skipped=2, failed=1)
    results = {(row["email"], row["row"]): row for row in await site.results(job)}
    assert results["old@partner.example", 1]["groups_status"] == "done"
    refused = results["refused@blocked.example", 2]
    assert (refused["groups_status"], refused["profile_status"]) == ("skipped", "skipped")
    assert "was not invited" in refused["groups_error"]
    bad = results["bad@partner.example", 3]
    assert (bad["status"], bad["groups_status"]) == ("invited", "failed")
    assert "No such group" in bad["groups_error"]
    assert "bad@partner.example" in members(site)["G1"]
    site.assert_all_mailed_once(22)
    again = [(letter, row) async for letter, _, row, _ in site.desk.jobs.rows.refused(job)]
    assert [(letter, row["email"]) for letter, row in again] == [
        ("f", "refused@blocked.example"),
        ("f", "bad@partner.example"),
    ]
    assert again[1][1]["groups"] == ["G1", "No such group"]


async def test_pause_stops_every_stage_and_resume_goes_on(site: Site) -> None:
    """Paused in the middle of a stage nothing more is written; resumed, everybody gets what they
    lack, and nothing twice.
    """
    site.sandbox.ask("latency", {"latency": "0.3"})
    given = make_rows(200)
    job = await submit(site, given)
    site.start_worker()
    await until_stage(site, job, "profile", 20)
    await site.desk.jobs.pause(job, "a test")

    async def still() -> bool:
        ids = (job, stage_id(job, "profile"), stage_id(job, "groups"))
        return not any([(await site.view(one)).open for one in ids])

    await site.until("nothing on the wire", still)
    written = writes(site, "update_user")
    assert (await site.view(job)).state is JobState.PAUSED
    other = await site.load(["other@partner.example"])
    await site.ended(other)
    assert writes(site, "update_user") == written
    await site.desk.jobs.resume(job)
    view = await site.ended(job, 60)
    assert view.stages == {"profile": Counts(rows=200, done=200), "groups": Counts(rows=200, done=200)}
    assert members(site) == wanted(given)
    assert writes(site, "update_user") == 200


async def test_a_cancelled_job_ends_its_stages(site: Site) -> None:
    """What was done stays and is told, the rest counts as cancelled, in each stage."""
    site.sandbox.ask("latency", {"latency": "0.3"})
    job = await submit(site, make_rows(200))
    site.start_worker()
    await until_stage(site, job, "profile", 20)
    await site.desk.jobs.cancel(job)
    view = await site.ended(job)
    assert view.state is JobState.CANCELLED
    profile = view.stages["profile"]
    assert profile.cancelled > 0
    assert profile.pending == 0
    assert profile.done + profile.cancelled == 200
    assert companies(site)["Partner Ltd"] == profile.done
    told = Counter(row["profile_status"] for row in await site.results(job))
    assert told == {"done": profile.done, "cancelled": profile.cancelled}


async def test_a_deleted_job_leaves_nothing_of_its_stages(site: Site) -> None:
    """Deleted in the middle of a stage: no key names the job once the last answers have come."""
    site.sandbox.ask("latency", {"latency": "0.3"})
    job = await submit(site, make_rows(200), job="deleteme")
    site.start_worker()
    await until_stage(site, job, "profile", 20)
    assert await site.desk.jobs.delete(job)

    async def gone() -> bool:
        return not [name for name in await site.desk.names() if job in name and ":notice" not in name]

    await site.until("the end of every trace", gone)
    client: Any = site.desk.client
    assert not await client.zrange(site.desk.keys.gathering(), 0, -1)
    other = await submit(site, make_rows(5))
    assert (await site.ended(other)).stages["profile"].finished == 5


async def test_a_stage_without_its_permission_holds_itself_alone(site: Site) -> None:
    """The app may not change groups: invitations and profiles go on, then the job says what it
    waits for; once that is granted it ends.
    """
    site.sandbox.ask("policy", {"roles": [role for role in ROLES if role != "GroupMember.ReadWrite.All"]})
    job = await submit(site, make_rows(30))
    site.start_worker()

    async def held() -> bool:
        return (await site.view(job)).state is JobState.HELD

    await site.until("the hold", held)
    view = await site.view(job)
    assert view.counts == Counts(rows=30, done=30)
    assert view.stages["profile"] == Counts(rows=30, done=30)
    assert view.stages["groups"].pending == 30
    assert view.why.startswith("Stage groups: ")
    assert "GroupMember.ReadWrite.All" in view.why
    assert not view.waits_for_a_person
    assert not (await site.desk.gates.of("contoso")).held
    site.sandbox.ask("policy", {"roles": ROLES})
    await site.desk.gates.reopen("contoso+groups")
    view = await site.ended(job, 60)
    assert view.stages["groups"] == Counts(rows=30, done=30)


async def test_a_pilot_goes_the_whole_way(site: Site) -> None:
    """A job that pauses after its first rows has done all their stages by then."""
    job = await submit(site, make_rows(20), pilot=5)
    site.start_worker()

    async def piloted() -> bool:
        view = await site.view(job)
        return view.state is JobState.PAUSED and all(counts.done == 5 for counts in view.stages.values())

    await site.until("the pilot's stages", piloted)
    await site.desk.jobs.resume(job)
    view = await site.ended(job)
    assert {counts.done for counts in view.stages.values()} == {20}


async def test_a_guest_is_forgotten_in_every_stage(site: Site) -> None:
    """No key holds the address any more, be it a guest's or one that a row names; while a stage
    goes on the job stands in the way.
    """
    ann = "ann@partner.example"
    given = [{"email": ann, "groups": ["G0"], "company": "A"}, {"email": "bob@partner.example", "groups": [ann]}]
    job = await submit(site, given)
    site.start_worker()
    view = await site.ended(job)
    assert view.stages["groups"] == Counts(rows=2, done=1, failed=1)
    refused = [row async for _, _, row, _ in site.desk.jobs.rows.refused(job)]
    assert refused == [{"email": "bob@partner.example", "groups": [ann]}], "as it was submitted"
    await site.desk.jobs.expire_ended()
    async with open_services(lambda: load_settings(site.env), site.url) as services:
        gone = await forget(services.ledger, services.index, ann)
    assert gone.anything
    client: Any = site.desk.client
    for name in await site.desk.names():
        key = f"{site.desk.keys.prefix}:{name}"
        if await client.type(key) != b"hash" or "mq:" in name:
            continue
        for field, value in (await client.hgetall(key)).items():
            text = repr((field, packing.unpack_finished(value) if field == b"out" else value))
            assert ann not in text, (name, field)


async def test_an_ended_job_expires_with_its_stages(site: Site) -> None:
    """Whatever a job with stages has written goes when the job goes."""
    job = await submit(site, make_rows(30), job="expiring")
    site.start_worker()
    await site.ended(job)
    client: Any = site.desk.client

    async def all_expire() -> bool:
        names = [f"{site.desk.keys.prefix}:{name}" for name in await site.desk.names() if job in name]
        return bool(names) and all([await client.ttl(name) > 0 for name in names])

    await site.until("an expiry for each key", all_expire)
    assert (await site.desk.jobs.listed())[0].id == job


async def test_a_single_guest_has_stages_too(site: Site) -> None:
    """Invited by itself, ahead of lists: its stages follow at once."""
    site.start_worker()
    await submit(site, make_rows(1), job="single", lane=Lane.NOW)
    view = await site.ended("single")
    assert view.stages == {"profile": Counts(rows=1, done=1), "groups": Counts(rows=1, done=1)}


async def test_what_waits_for_approval_waits_with_its_stages(site: Site) -> None:
    """Approved, all of it runs; where the worker alone requires it, a stage is not held once its
    job is approved.
    """
    config = site.folder / "usher.toml"
    config.write_text(config.read_text() + "require_approval = true\n")
    job = await submit(site, make_rows(5))
    site.start_worker()
    view = await site.view(job)
    assert view.awaits_approval
    assert await site.desk.jobs.approve(view, "somebody")
    view = await site.ended(job)
    assert view.stages["groups"] == Counts(rows=5, done=5)


async def test_a_member_of_the_tenant_is_left_alone(site: Site) -> None:
    """Whoever is a member was not invited by this job, so nothing of them is written, not even
    where a row asks for a member and nobody was looked up before.
    """
    site.sandbox.ask("users", {"action": "add", "email": "m@partner.example", "user_type": "Member"})
    given = [{"email": "m@partner.example", "company": "Changed Ltd", "user_type": "Member"}]
    job = await submit(site, given, options=Options(resend=True))
    site.start_worker()
    await site.ended(job)
    (row,) = await site.results(job)
    assert (row["status"], row["profile_status"]) == ("already_guest", "failed")
    assert "a member of the tenant itself" in row["profile_error"]
    assert writes(site, "update_user") == 0


async def test_sponsors_of_a_list_that_no_command_looked_at_cost_no_write(site: Site) -> None:
    """As a producer's: whoever sends the first invitations finds out who is meant."""
    site.start_worker()
    sponsor = await site.load(["sponsor@partner.example"])
    await site.ended(sponsor)
    given = [{"email": f"p{n}@partner.example", "sponsors": ["sponsor@partner.example"]} for n in range(30)]
    before = writes(site, "add_sponsor")
    view = await site.ended(await submit(site, given), 60)
    assert view.stages["sponsors"].done + view.stages["sponsors"].already == 30
    assert writes(site, "add_sponsor") == before
