"""The plan: what is said of a job before it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cli.ui.confirming import is_confirmed
from tasks.asked_stages import AskedStages, find_asked
from tasks.errors import Refusal
from tasks.forecast.plan import Plan, build_plan, name_mailer
from tasks.forecast.several import Plans
from tasks.forecast.stage_words import describe_stages, stage_lines
from tasks.forecast.targets import StageAhead, read_stages
from tasks.submission.refusing import refuse_stages
from tasks.submission.request import Request
from tasks.submit import Loaded
from tasks.telling.words import many, span
from tests.configs import build_connection
from worker.directory.questions import Tenant
from worker.ledger.gates import Gate, HoldReason
from worker.ledger.job_targets import Target, TargetKind
from worker.ledger.loading import Loading
from worker.ledger.model import Lane, Options
from worker.ledger.quota import Bucket
from worker.operations.registry import OPERATIONS

BUCKETS = [Bucket("invitations", 150, 5_000), Bucket("writes", 3_000, 150_000)]
CONTOSO = Tenant("Contoso", "contoso.com")


def plan(*, pilot: int = 0, tenant: Tenant | None = CONTOSO, more: dict[str, Any] | None = None, **loaded: Any) -> Plan:
    """The plan of 100 rows, 98 of them to be sent, unless told otherwise."""
    given: dict[str, Any] = {"rows": 100, "to_send": 98, "mails": 98} | loaded
    options: dict[str, Any] = {"gate": Gate(), "jobs_before": 3} | (more or {})
    made = Loaded(Loading("k7m2aaaaaa", "contoso", Lane.BULK, pilot), **given)
    return build_plan(made, "contoso", buckets=BUCKETS, tenant_id="11111111-2222", tenant=tenant, **options)


def test_the_counts_add_up_to_the_rows() -> None:
    """As in every object of --json."""
    counts = plan(rows=100, to_send=90, bad_count=4, duplicates=5, blocked=1).counts
    assert counts["rows"] == sum(count for name, count in counts.items() if name != "rows") == 100


def test_the_plan_of_several_names_those_that_need_approval() -> None:
    """Before anything is sent: their guests wait, the others' do not."""
    open_, asks = plan(), replace(plan(more={"needs_approval": True}), connection="bellows")
    assert Plans([open_]).approval == ""
    assert Plans([asks]).approval == "bellows: sent only once somebody else has approved it."
    assert Plans([open_, asks]).approval == "bellows: sent only once somebody else has approved it, the others at once."


def test_the_plan_names_rows_mails_tenant_and_time() -> None:
    """The tenant by name where it can be read, else by id."""
    told = dict(plan(rows=9_000, to_send=9_000, mails=8_000).lines())
    assert told["Rows"] == "9,000 rows"
    assert told["To send"] == "9,000 invitations"
    assert told["E-mails"] == "8,000, sent by Microsoft"
    assert told["Tenant"] == "Contoso (contoso.com) (connection contoso)"
    assert told["Time"] == "at least 5 min, as the quota goes"
    assert "11111111-2222" in dict(plan(tenant=None).lines())["Tenant"]
    assert dict(plan(mails=0).lines())["E-mails"] == "none"
    assert "nobody" in dict(plan(more={"rehearsal": True}).lines())["E-mails"]
    by_mailbox = build_connection(deliver="mailbox", mailbox="invites@contoso.com")
    ours = plan(more={"mailed_by": name_mailer(by_mailbox)}, remarks=Counter(with_message=3))
    assert dict(ours.lines())["E-mails"] == "98, sent by usher, from the mailbox invites@contoso.com"
    assert ours.risks == ()  # these words reach the guests
    assert (name_mailer(build_connection()), name_mailer(build_connection(deliver="none"))) == ("", "")
    unlooked = replace(plan(), at_most=True)
    told = dict(unlooked.lines())
    assert told["To send"] == "at most 98 invitations"
    assert told["E-mails"] == "at most 98, sent by Microsoft; guests who are there already get none"
    assert unlooked.question.startswith("Send at most 98 invitations with 98 e-mails to the tenant")


@pytest.mark.parametrize(
    ("loaded", "more", "words"),
    [
        ({"remarks": Counter(ended=1)}, {}, "1 row with an `expires` that is past: its guest is invited all the same"),
        ({"remarks": Counter(ended=2)}, {}, "2 rows with an `expires` that is past: their guests are invited"),
        ({"remarks": Counter(members=1)}, {}, "1 row asks for a member, not a guest (user_type): a member may"),
        ({"remarks": Counter(members=2)}, {}, "2 rows ask for members, not guests (user_type): a member may"),
        ({"remarks": Counter(with_message=1)}, {}, "1 row with a message of its own: Microsoft leaves it out"),
        ({"remarks": Counter(with_message=2)}, {}, "2 rows with a message of their own: Microsoft leaves it out"),
        ({"remarks": Counter(language_ignored=2)}, {}, "Microsoft ignores the language"),
        ({}, {"jobs_before": 0}, "has never finished a job"),
        ({}, {"daily_limit": 40}, "this list takes 3 days"),
        ({}, {"in_doubt_before": 2}, "may get a second e-mail"),
        ({}, {"gate": Gate(True, HoldReason.OPERATOR, "Audit week.")}, "The connection is held: Audit week."),
    ],
)
def test_known_risks_are_said(loaded: dict[str, Any], more: dict[str, Any], words: str) -> None:
    """Each in a sentence; none of them without its cause."""
    assert any(words in risk for risk in plan(more=more, **loaded).risks)
    assert plan().risks == ()


def test_the_onmicrosoft_cap_is_said_where_mail_goes_out() -> None:
    """Not where Microsoft sends none, nor in a rehearsal."""
    tenant = Tenant("Contoso", "contoso.onmicrosoft.com")
    assert any("contoso.onmicrosoft.com" in risk for risk in plan(tenant=tenant).risks)
    assert plan(tenant=tenant, mails=0).risks == ()
    assert plan(tenant=tenant, more={"rehearsal": True}).risks == ()


def test_a_first_try_of_a_few_rows_or_a_pilot_needs_no_advice() -> None:
    """Whoever is careful is not told to be careful."""
    assert plan(rows=5, to_send=5, mails=5, more={"jobs_before": 0}).risks == ()
    assert plan(pilot=5, more={"jobs_before": 0}).risks == ()


def test_the_question_names_rows_mails_and_tenant() -> None:
    """A yes is a yes; anything else is not."""
    asked = plan()
    assert asked.question == "Send 98 invitations with 98 e-mails to the tenant Contoso (contoso.com)? [y/N]"
    assert [asked.accepts(answer) for answer in ("y", "Yes ", "", "n", "contoso")] == [True, True, False, False, False]


def test_above_500_rows_the_answer_is_the_connections_name() -> None:
    """Nobody types it by habit; a pilot is asked for by its own size."""
    asked = plan(rows=501, to_send=501, mails=0)
    assert "(contoso)" in asked.question
    assert "without e-mail" in asked.question
    assert [asked.accepts(answer) for answer in ("y", "Contoso", "contos")] == [False, True, False]
    assert not plan(rows=5000, to_send=5000, pilot=10).wants_name


@pytest.mark.parametrize(
    ("answers", "accepted"),
    [(["contoso"], True), (["y", "contoso"], True), (["y", "y"], False), (["n"], False), ([""], False)],
)
def test_who_types_a_yes_is_asked_once_more_for_the_name(answers: list[str], accepted: bool) -> None:
    """The list took minutes to read; whoever means no is not asked twice."""
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return answers[len(asked) - 1]

    terminal: Any = SimpleNamespace(ask=ask)
    assert is_confirmed(terminal, plan(rows=501, to_send=501, mails=0)) == accepted
    assert len(asked) == len(answers)
    assert asked[-1].endswith("Type the connection's name (contoso) to go on:")


def test_a_pilot_as_large_as_the_list_is_none() -> None:
    """Then the list is simply sent."""
    assert plan(pilot=98).pilot == 0
    assert plan(pilot=97).pilot == 97


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than a second"),
        (42, "42 s"),
        (200, "3 min 20 s"),
        (1800, "30 min"),
        (7500, "2 h 5 min"),
        (200_000, "2 days 7 h"),
    ],
)
def test_times_are_read_at_a_glance(seconds: float, words: str) -> None:
    """Two units at most."""
    assert span(seconds) == words


def test_one_row_is_not_one_rows() -> None:
    """And thousands have commas."""
    assert [many(count, "row") for count in (0, 1, 12345)] == ["0 rows", "1 row", "12,345 rows"]


def stage(*named: tuple[str, int, str], guests: int = 5, missing: str = "") -> StageAhead:
    """The groups of a plan: name, guests, why nobody can be put into it."""
    targets = [(Target(f"id-{name}", name, TargetKind.GROUP, refused), count) for name, count, refused in named]
    loads = [([Bucket("writes", 3_000, 150_000)], count) for _, count in targets]
    return StageAhead("groups", guests, loads, targets, missing)


NO_B = "There is no group “B” in this tenant."


def test_the_plan_names_each_group_with_its_guests() -> None:
    """And in what nobody can be put, and what right is missing, as risks."""
    made = plan(more={"stages": [stage(("A", 3, ""), ("C", 2, ""), ("B", 1, NO_B), missing="The app may not.")]})
    lines = made.lines()
    at = lines.index(("Then groups", "5 guests, 2 groups"))
    assert lines[at + 1 : at + 3] == [("", "A: 3 guests"), ("", "C: 2 guests")]
    assert made.risks == (
        f"groups, 1 row: {NO_B} Its guest is invited, and the stage groups ends failed for it.",
        "The app may not.",
    )
    assert describe_stages(made.stages)["groups"]["refused"] == {"B": NO_B}


def test_a_group_that_is_named_in_two_ways_is_told_once() -> None:
    """By its name in one row and by its id in another."""
    ways = [(Target("id-1", name, TargetKind.GROUP, title="Partners"), guests) for name, guests in (("P", 2), ("x", 3))]
    stage = StageAhead("groups", 4, named=ways)
    assert stage_lines([stage])[1:] == [("", "Partners: 4 guests")]
    assert describe_stages([stage])["groups"]["names"] == {"Partners": 4}


def test_the_time_counts_what_follows_the_invitations() -> None:
    """Writes of both are taken from one bucket."""
    assert plan(to_send=3_000).seconds == 95
    assert plan(to_send=3_000, more={"stages": [stage(("A", 3_000, ""))]}).seconds == 150


def request(*, strict: bool = False, **named: list[str]) -> Request:
    """A request that names something for all rows."""
    return Request("contoso", [], "list", named=named, strict=strict)


def test_what_the_command_names_must_be_there() -> None:
    """Else nothing is sent; what only rows name costs a strict command its list, and no other."""
    stages = [stage(("A", 3, ""), ("B", 1, NO_B))]
    refuse_stages(request(groups=["A"]), stages)
    with pytest.raises(Refusal, match="--group: There is no group “B” in this tenant. Nothing was sent."):
        refuse_stages(request(groups=["A", "B"]), stages)
    both = [stage(("B", 1, NO_B), ("C", 1, NO_B.replace("B", "C")))]
    with pytest.raises(Refusal, match=r"--group: There is no group “B” .* --group: There is no group “C” "):
        refuse_stages(request(groups=["B", "C"]), both)
    with pytest.raises(Refusal, match="in this tenant. --strict was given, so nothing was sent."):
        refuse_stages(request(strict=True), stages)


def test_whoever_approves_sees_what_rows_ask_for() -> None:
    """As the rows have it, without the tenant being asked."""
    asked, stages = AskedStages(), [OPERATIONS[name] for name in ("profile", "groups")]
    rows: list[dict[str, Any]] = [{"groups": ["B", "A"], "company": "x"}, {"groups": ["A"]}, {}]
    for row in rows:
        asked.add(find_asked(stages, {"email": "a@b.example", **row}, Options()))
    assert stage_lines(read_stages(asked)) == [
        ("Then profile", "1 guest"),
        ("Then groups", "2 guests, 2 groups"),
        ("", "A: 2 guests"),
        ("", "B: 1 guest"),
    ]


def test_several_connections_take_as_long_as_what_they_share() -> None:
    """Side by side as each tenant's own limit goes, but no faster than their application's."""
    app = Bucket("writes-app", 100, 10_000)
    each = [
        replace(plan(), connection=name, loads=[([Bucket(f"invitations:{name}", 50, 5_000), app], 100)])
        for name in "abc"
    ]
    assert [one.seconds for one in each] == [5, 5, 5]
    assert Plans(each[:1]).seconds == 5
    assert Plans(each).seconds == 20
    assert Plans(each).table()[-1][-1] == "at least 20 s"


def test_the_plans_of_several_connections_are_told_as_one() -> None:
    """A line a connection and a total; each sentence once, with whom it is about; many rows want
    the number of connections for an answer.
    """
    risky = {"jobs_before": 0}
    plans = Plans(
        [replace(plan(more=risky), connection=name, risks=(f"Connection {name} is new.",)) for name in ("a", "b")],
        [("b", "The secret has ended.")],
    )
    assert plans.table()[-1][:3] == ("together", "196", "196")
    assert plans.risks == ["b: The secret has ended.", "a, b: Connection is new."]
    assert plans.question == "Send 196 invitations with 196 e-mails to 2 connections? [y/N]"
    assert plans.accepts("y")
    large = Plans([plan(to_send=400, mails=0)] * 3)
    assert "Type how many connections these are (3)" in large.question
    assert large.accepts("3")
    assert not large.accepts("y")
