"""`usher schedules` on a real installation: it lists, switches, runs, refuses and warns."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from tests.beats import ROLES, Beats, schedule_table
from tests.sandboxes import connection_table
from tests.sites import Site
from worker.ledger.model import JobState

pytestmark = pytest.mark.sandbox(latency="0", replication="0", roles=ROLES)


async def test_the_command_lists_switches_runs_and_refuses(site: Site, beats: Beats) -> None:
    """Both kinds together; a file's schedule can be switched off but not removed; what cannot be is
    a sentence and status 2.
    """
    (site.folder / "people.csv").write_text("email\nada@example.com\n")
    beats.write(
        schedule_table("filed", "invite_file", every="9d", connection='"contoso"', args='{ path = "people.csv" }'),
        top='timezone = "Europe/Berlin"\n',
    )
    site.start_worker()
    add = ("schedules", "add", "added", "--task", "retry_failed", "-c", "contoso")
    assert "Its next run is at" in site.run(*add, "--cron", "0 2 * * mon", "--arg", "times=2")[1]
    status, out, _ = site.run("schedules", "list", "--json")
    told = json.loads(out)
    assert (status, told["beat"], told["timezone"]) == (0, False, "Europe/Berlin")
    assert [(one["schedule"], one["from"], one["when"], one["last"]) for one in told["schedules"]] == [
        ("added", "added", "0 2 * * mon", None),
        ("filed", "file", "every 9d", None),
    ]
    assert told["schedules"][0]["next_run_at"].endswith(("00:00:00+00:00", "01:00:00+00:00"))  # two in Berlin
    status, out, err = site.run("schedules", "run", "filed")
    assert (status, err) == (0, "")
    assert re.search(r"Job \w+ took in 1 row of people.csv.\nTo follow it: usher jobs watch \w+\n", out)
    [run] = await beats.runs("filed")
    assert (await site.ended(run.jobs[0])).state is JobState.DONE
    status, out, err = site.run("schedules", "list")
    assert status == 0
    assert "No beat is running" in err
    assert "filed  invite_file on contoso, every 9d\n" in out
    assert re.search(
        rf"^  next run 20\S+ \S+ \S+ · last run 20\S+ \S+ \S+ ok\n  Job {run.jobs[0]} took in", out, re.MULTILINE
    )
    assert "added  retry_failed on contoso, 0 2 * * mon, added at run time\n" in out
    status, out, err = site.run("schedules", "show", "filed")
    assert re.search(rf"job {run.jobs[0]}, done: 1 invited", out), out
    told = "Schedule filed reads a list: who stands in one is taken in again by its next run"
    assert told in site.run("guests", "forget", "nobody@fabrikam.example").err
    assert site.run("schedules", "disable", "filed")[0] == 0
    assert "reads a list" not in site.run("guests", "forget", "nobody@fabrikam.example").err
    assert json.loads(site.run("schedules", "show", "filed", "--json")[1])["enabled"] is False
    assert "Its next run is at" in site.run("schedules", "enable", "filed")[1]
    assert "usher schedules disable filed" in _refused(site, "remove", "filed")
    assert "did you mean filed?" in _refused(site, "disable", "filled")
    assert "There is a schedule filed already" in _refused(
        site, "add", "filed", "--task", "check_connections", "--every", "1h"
    )
    assert "schedules.x.task must be one of" in _refused(site, "add", "x", "--task", "invite", "--every", "1h")
    assert site.run("schedules", "remove", "added")[0] == 0
    assert "There is no schedule" in _refused(site, "run", "added")
    events = [json.loads(line) for line in site.run("audit", "export", "--events-only")[1].splitlines()]
    told = [(event["what"], event["schedule"]) for event in events if event["what"].startswith("schedule.")]
    assert told == [
        ("schedule.added", "added"),
        ("schedule.disabled", "filed"),
        ("schedule.enabled", "filed"),
        ("schedule.removed", "added"),
    ]


def test_a_schedule_is_looked_at_before_it_is_added(site: Site) -> None:
    """A tenant is not read every second; what it lacks is told; a zone is named once."""
    add = ("schedules", "add", "tidy", "--task", "clean_guests", "-c", "contoso", "--arg", "confirm=true")
    assert "--every must be at least 1m" in _refused(site, *add[1:], "--every", "1s")
    added = site.run(*add, "--cron", "0 2 * * *")
    assert (added.status, added.out.count("UTC")) == (0, 1), added.out
    assert "under [connections.contoso.clean]" in " ".join(added.err.split())
    listed = site.run(
        "schedules", "add", "l", "--task", "invite_file", "-c", "contoso", "--every", "1d", "--arg", "path=/nope.csv"
    )
    assert "/nope.csv is not on this machine" in " ".join(listed.err.split())


def _refused(site: Site, *words: str) -> str:
    status, out, err = site.run("schedules", *words)
    assert (status, out) == (2, ""), (out, err)
    assert "Traceback" not in err
    return err


async def test_a_schedule_that_would_mail_everybody_again_is_named(site: Site) -> None:
    """Quarterly, on connections that cannot look who is there: by the list and by the doctor. Not
    where the directory is asked.
    """
    path, ready = site.folder / "usher.toml", site.sandbox.ready
    unlooked = connection_table("unlooked", ready, client_secret=f'"file:{site.secret}"', precheck="false")
    rows = [
        f'[schedules.{name}]\ntask = "invite_file"\nconnection = "{connection}"\ncron = "{cron}"\nargs = {{ path ='
        ' "a.csv" }\n'
        for name, connection, cron in (
            ("rare-looked", "contoso", "0 2 1 */3 *"),
            ("rare", "unlooked", "0 2 1 */3 *"),
            ("nightly", "unlooked", "0 2 * * *"),
        )
    ]
    path.write_text(path.read_text() + unlooked + "\n".join(rows))

    def told() -> dict[str, str]:
        status, out, err = site.run("schedules", "list", "--json")
        assert status == 0, err
        return {one["schedule"]: one["warning"] for one in json.loads(out)["schedules"] if one["warning"]}

    warnings = await asyncio.to_thread(told)
    assert warnings.keys() == {"rare"}
    assert "precheck is off" in warnings["rare"]
    assert "60 days apart" in warnings["rare"]
    site.sandbox.ask("policy", {"roles": ["User.Invite.All"]})
    warnings = await asyncio.to_thread(told)
    assert "grant User.Read.All" in warnings["rare-looked"]
    status, _, err = await asyncio.to_thread(site.run, "schedules", "list")
    assert (status, " ".join(err.split()).count("mails everybody on its list again")) == (0, 2)
    status, out, _ = await asyncio.to_thread(site.run, "doctor", "--json")
    found = [fact["what"] for fact in json.loads(out)["findings"] if fact["about"] == "schedules"]
    assert (status, found) == (1, list(warnings.values()))
