"""A dry run looks at everything that may be looked at, and says what would happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from tasks.forecast.guarded import foresee_guarded
from tasks.forecast.plan import Plan, reduce_to
from tasks.forecast.rows import ForeseenRow, Foresight
from tasks.forecast.stage_words import describe_stages
from tasks.forecast.stages import StageForesight
from tasks.forecast.tally import Tally, list_gaps
from tasks.forecast.targets import StageAhead, properties_read
from tasks.rows.domain_slips import describe_domains
from tasks.telling.words import number
from worker.channels import describe_operation
from worker.directory.rules import fetch_rules
from worker.operations.foreseen import Would
from worker.operations.operation import MAILED, Channel
from worker.operations.registry import find_operation
from worker.operations.tenant_rules import Gap, TenantRules

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.submission.preparing import Prepared
    from tasks.submission.request import Request
    from tasks.submit import Loaded
    from worker.services import Services

SHOWN_DOMAINS: Final = 10


@dataclass(slots=True)
class Forecast(Tally):
    """What a dry run found, in numbers and sentences. `loaded`: the list, as it would go."""

    loaded: Loaded
    known: int = 0
    refused: int = 0
    mails: int = 0
    remarks: Counter[str] = field(default_factory=Counter)
    risks: list[str] = field(default_factory=list)
    longest_run: int = 0
    stages: list[StageAhead] = field(default_factory=list)
    _run: int = 0
    _refused_domains: set[str] = field(default_factory=set)

    def add(self, one: ForeseenRow, ended_before: bool, mail: bool, remarks: Iterable[str]) -> None:
        """Count one row. `ended_before`: by usher's own rules, which the plan tells of already."""
        foreseen = one.foreseen
        domain = self.count(one)
        if not ended_before:
            self.known += foreseen.would is Would.SKIP
            self.refused += foreseen.would is Would.REFUSE
            if foreseen.would is Would.DO:
                self.mails += mail
                self.remarks.update(remarks)
            self._count_run(one, domain)

    def _count_run(self, one: ForeseenRow, domain: str) -> None:
        """Count refusals in a row as the real run does (`refusals_in_a_row`)."""
        if one.foreseen.would is Would.DO:
            self._run = 0
        elif one.foreseen.would is Would.REFUSE and one.foreseen.by_graph:
            if one.foreseen.code in ("blocked_domain", "cross_tenant"):
                if domain in self._refused_domains:
                    return
                self._refused_domains.add(domain)
            self._run += 1
            self.longest_run = max(self.longest_run, self._run)


async def foresee_list(
    services: Services, prepared: Prepared, request: Request, heard: Callable[[ForeseenRow], None]
) -> Forecast:
    """Look at the tenant and at every row of a loaded list; `heard` is told of each row in turn.
    Raises `TokenRefused`.
    """
    connection, loaded, stages = prepared.connection, prepared.loaded, prepared.stages
    channel = Channel(connection, find_operation(request.operation))
    rules = await fetch_rules(services, channel)
    read = properties_read([request.operation, *(stage.name for stage in stages)])
    foresight = Foresight(services, channel, rules, request.options, read)
    beyond = StageForesight(services, connection, loaded.job, stages, rules, loaded.options)
    forecast = Forecast(loaded, operation=request.operation)
    rows, guard = await foresee_guarded(foresight, loaded.job)
    async for row in beyond.add(rows):
        ended_before = row.foreseen.code in ("invalid_row", "duplicate") or (
            row.foreseen.code == "blocked_domain" and not row.foreseen.by_graph
        )
        mail = not ended_before and channel.operation.mail(row.row, connection, request.options) == MAILED
        forecast.add(row, ended_before, mail, channel.operation.remarks(row.row, request.options))
        heard(row)
    forecast.loaded = reduce_to(loaded, forecast.counts[Would.DO], forecast.mails, forecast.remarks)
    forecast.notes = describe_domains(forecast.domains, rules.domains or ())
    forecast.stages = beyond.counted()
    forecast.gaps = list_gaps(rules, foresight)
    if beyond.unread:
        forecast.gaps.append(Gap("What of the stages is so already", why="Graph did not answer for some guests"))
    forecast.risks = [*([guard.unread] if guard and guard.unread else []), *_risks(forecast, rules, connection)]
    return forecast


def _risks(forecast: Forecast, rules: TenantRules, connection: Connection) -> list[str]:
    risks = []
    if rules.closed:
        risks.append(
            "The real run would be held at its first invitation: nobody would be invited until that is changed."
        )
    elif rules.invites_from == "adminsAndGuestInviters":
        risks.append(
            "This tenant lets only admins and guest inviters invite (allowInvitesFrom): Microsoft's page says that an"
            " app is refused then, reports say that User.Invite.All lets it through."
        )
    if not rules.closed and 0 < connection.refusals_in_a_row <= forecast.longest_run:
        risks.append(
            f"Microsoft would refuse {number(forecast.longest_run)} rows in a row, and"
            f" {number(connection.refusals_in_a_row)} hold a job for a person (refusals_in_a_row): take them out of the"
            " list first (-o FILE says which they are)."
        )
    return risks


def plan_as_foreseen(plan: Plan, forecast: Forecast) -> Plan:
    """Return a plan with what was foreseen."""
    return replace(plan, known=forecast.known, refused=forecast.refused, risks=(*plan.risks, *forecast.risks))


def describe_dry_run(plan: Plan, forecast: Forecast) -> dict[str, Any]:
    """Return what programs are told of a dry run: the job as it would stand, and its `plan`."""
    told: dict[str, Any] = {"to_send": plan.to_send, "mails": plan.mails, "members": plan.members}
    told |= {"tenant": plan.tenant, "seconds": round(plan.seconds, 1)}
    if plan.stages:
        told["stages"] = describe_stages(plan.stages)
    operation = describe_operation(plan.operation.name)
    job = {"job": None, "connection": plan.connection, **operation, "state": "cancelled", **plan.counts}
    return {**job, "plan": {**told, **_describe(forecast), "risks": list(plan.risks)}}


def _describe(forecast: Forecast) -> dict[str, Any]:
    return {
        "would": {would.told(forecast.operation): forecast.counts[would] for would in Would},
        "domains": {note.domain: note.rows for note in forecast.notes[:SHOWN_DOMAINS]},
        "more_domains": max(0, len(forecast.notes) - SHOWN_DOMAINS),
        "lookalikes": {note.domain: note.looks_like for note in forecast.notes if note.looks_like},
        "private": sum(note.rows for note in forecast.notes if note.private),
        "not_checked": [str(gap) for gap in forecast.gaps],
    }
