"""A server that is killed while it sends a list leaves nothing; whoever sends it again has one
job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.submit import Follows, job_id_of
from tests.consoles import run_console
from tests.integration.tenants.test_submissions_by_http import add_connections
from tests.processes import wait_until
from worker.ledger.lists.uploads import Uploads
from worker.ledger.model import Lane, Options

if TYPE_CHECKING:
    import requests

    from tests.consoles import Console
    from tests.sites import Site


class _Forms:
    """A browser without scripts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        page = console.get("/invite").text
        self._token = page.split('name="csrf_token" value="')[1].partition('"')[0]

    def send(self, path: str, **form: str) -> str:
        """Send a form; returns where that leads."""
        told = {"csrf_token": self._token, **form}
        answer = self._console.post(path, data=told, headers={"Origin": self._console.url})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def until(self, path: str, words: str) -> requests.Response:
        """Return the page once it says, or leads to, that."""

        def look() -> requests.Response | None:
            answer = self._console.get(path)
            found = words in answer.text or words in answer.headers.get("location", "")
            return answer if found else None

        answer: requests.Response = wait_until(look, 30, words)
        return answer


@pytest.mark.parametrize("is_going", [False, True], ids=["loading", "being removed"])
async def test_a_list_whose_server_was_killed_is_sent_again_as_one_job(
    site: Site, console: Console, is_going: bool
) -> None:
    """What the killed server had begun to load is no job, whether or not somebody is cleaning it up
    just now: the page says so, and the list is sent once.
    """
    forms, desk = _Forms(console), site.desk
    place = forms.send("/invite", addresses="again@partner.example")
    forms.until(forms.send(f"{place}/look", read="{}", connection="contoso"), f"{place}/send")
    uploads = Uploads(desk.client, desk.keys)
    kept = await uploads.find(f"local {_actor()}", place.removeprefix("/invite/"))
    assert kept is not None
    loading = await desk.jobs.create("left", "contoso", Lane.BULK, options=Options())
    assert loading is not None
    if is_going:
        await desk.jobs.cancel("left", "deleted")
    await uploads.note(kept.id, {**kept.looked, "stage": "reading", "sends": True, "job": "left", "heard_ms": 0})
    forms.until(f"{place}/look", "ended meanwhile")
    sent = forms.until(forms.send(f"{place}/send"), "/jobs/")
    job = sent.headers["location"].removeprefix("/jobs/")
    assert job != "left"
    view = await site.view(job)
    assert (view.counts.rows, view.is_accepted) == (1, True)
    again = forms.send(f"{place}/send")
    assert forms.until(again, "/jobs/").headers["location"] == f"/jobs/{job}"
    assert [one.id for one in await desk.jobs.listed() if one.is_accepted] == [job]


async def test_a_list_for_several_tenants_is_sent_again_as_one_submission(site: Site) -> None:
    """The jobs that the killed server had begun to load are none, and all tenants have theirs
    once.
    """
    add_connections(site)
    with run_console(site) as console:
        forms, desk = _Forms(console), site.desk
        place = forms.send("/invite", addresses="again@partner.example")
        forms.until(forms.send(f"{place}/look", read="{}", connection="tag:eu"), f"{place}/send")
        uploads = Uploads(desk.client, desk.keys)
        kept = await uploads.find(f"local {_actor()}", place.removeprefix("/invite/"))
        assert kept is not None
        left, submission = job_id_of(Follows.SUBMISSION, "s-aaaaaaaaaa", "adatum"), {"job": "s-aaaaaaaaaa"}
        assert await desk.jobs.create(left, "adatum", Lane.BULK, options=Options()) is not None
        await uploads.note(kept.id, {**kept.looked, "stage": "reading", "sends": True, "heard_ms": 0, **submission})
        forms.until(f"{place}/look", "ended meanwhile")
        sent = forms.until(forms.send(f"{place}/send"), "/submissions/").headers["location"]
        again = forms.send(f"{place}/send")
        assert forms.until(again, "/submissions/").headers["location"] == sent
    accepted = {one.connection: one.info["submission"] for one in await desk.jobs.listed() if one.is_accepted}
    assert accepted == dict.fromkeys(("adatum", "bellows"), sent.removeprefix("/submissions/"))


def _actor() -> str:
    from console.access.viewer import local_operator

    return local_operator().actor
