"""A job whose submitter was killed before it was let go says so, wherever one looks."""

from __future__ import annotations

import json
import re

from tests.places import Place, Typist


def test_a_job_whose_submitter_was_killed_says_so_and_what_to_do(own_place: Place) -> None:
    """Nobody waits for it: nothing was sent, and the list is to be submitted again."""
    typist = Typist(own_place, "invite", own_place.guests(12, "loading"), "-c", "contoso")
    typist.read_until("Send")
    waiting = own_place.usher("jobs", "list", "--json")
    job = json.loads(waiting.out)["jobs"][0]["job"]
    typist.kill()
    typist.end()

    shown = own_place.usher("jobs", "show", job).out
    assert "its submitter has gone, and nothing was sent: submit the list again" in re.sub(r"\s+", " ", shown)
    listed = own_place.usher("jobs", "list")
    assert f"{job} is loading: its submitter has gone" in listed.err
    resumed = own_place.usher("jobs", "resume", job)
    assert resumed.status == 2
    assert "Its submitter has gone, and nothing was sent: submit the list again" in resumed.err
    assert f"usher jobs cancel {job}" in resumed.err
    assert own_place.usher("jobs", "cancel", job).status == 0
