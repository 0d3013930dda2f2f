"""The jobs of a submission are told as one: how each stands, and what goes on with all of them."""

from __future__ import annotations

from dataclasses import replace

from cli.follow.follow import Followed
from cli.follow.together import _how_to_go_on as how_to_go_on
from cli.follow.when_to_stop import End
from cli.jobs.several import describe_approvers
from tests.unit.cli.follow.test_when_to_stop import VIEW
from worker.ledger.approval import WANTED
from worker.ledger.model import JobState


def test_what_goes_on_is_the_submission_and_is_said_once() -> None:
    """Each sentence names its connection; no command names one of its jobs, and two that are alike
    stand under the last sentence that asks for it.
    """
    held = replace(VIEW, state=JobState.HELD, why="No consent.")
    views = [replace(held, id=f"job{name}", connection=name) for name in ("adatum", "bellows")]
    views.append(replace(views[0], id="jobcronus", connection="cronus", approval=WANTED, why="Wait."))
    told = how_to_go_on("s-abc", [Followed(End.HELD, view) for view in views], runs_on=False)
    assert [sentence.partition(":")[0] for sentence, _ in told] == ["adatum", "bellows", "cronus"]
    assert [command for _, command in told] == ["", "usher jobs resume s-abc", "usher jobs approve s-abc"]
    assert not any(view.id in sentence + command for view in views for sentence, command in told)


def test_whoever_approved_is_named_with_what_they_approved() -> None:
    """Several may have, each their own."""
    infos: list[dict[str, str]] = [{"approver": "grace@desk"}, {}, {"approver": "eve@desk"}, {"approver": "grace@desk"}]
    views = [replace(VIEW, connection=name, info=info) for name, info in zip("abcd", infos, strict=True)]
    assert describe_approvers(views) == "by grace@desk (a, d); by eve@desk (c)"
    assert describe_approvers(views[1:2]) == ""
