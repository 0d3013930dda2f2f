"""The operation `invite` sends a guest an invitation: `POST /invitations`, once for each guest.
Pure.

https://learn.microsoft.com/graph/api/invitation-post
https://learn.microsoft.com/graph/api/resources/invitedusermessageinfo
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from config.mail import OWN
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.graph.verdicts import decide
from worker.ledger.job_targets import TargetKind
from worker.ledger.model import KnownRow, Options, Outcome, Row, RowState, is_resent
from worker.ledger.quota import invitation_buckets
from worker.operations.invite_forecast import NEVER_KNOWN, SUMMARIES, foresee_answer
from worker.operations.invite_precheck import build_known, judge
from worker.operations.invite_rules import INVITE
from worker.operations.operation import MAILED, Asked, Attempt, Call, Look, Operation
from worker.operations.sponsor_rules import MOST_SPONSORS

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.graph.batch import GraphAnswer
    from worker.graph.users import DirectoryUser
    from worker.ledger.quota import Bucket
    from worker.operations.foreseen import Foreseen, Seen
    from worker.operations.tenant_rules import TenantRules


class Invite(Operation):
    """The operation makes people guests; Graph mails each of them, unless row, job or connection
    says otherwise, or the connection mails them itself.
    """

    name = "invite"
    rules = INVITE
    words: Mapping[RowState, str] = {RowState.DONE: "invited", RowState.ALREADY: "already_guest"}
    rows_a_call = 1
    repeatable = False
    invites = True
    takes_lists = True
    asks_rules = True
    takes_along: tuple[str, TargetKind] | None = ("sponsors", TargetKind.SPONSOR)
    heading_already = "Guests"
    requests = "invitations"
    known_words = "in the tenant already, or invited lately"
    unlooked = "nobody is invited unlooked"
    never_known = NEVER_KNOWN
    summaries: Mapping[str, str] = SUMMARIES

    def __init__(self) -> None:
        self._not_taken: set[str] = set()  # ids of sponsors whom Graph took with no invitation

    def follows(self, connection: Connection) -> bool:
        """An invitation is no stage."""
        return False

    def leads_to(self, stage: Operation) -> bool:
        """Lead to every stage, not to what is done to guests who are there by itself."""
        return not stage.alone

    def remarks(self, row: Row, options: Options) -> tuple[str, ...]:
        """Count rows that ask for a member, that bring words of their own, and whose language Graph
        passes over for these.
        """
        text = row.get("message") or options.message
        found = {
            "members": row.get("user_type") == "Member",
            "with_message": bool(text),
            "language_ignored": bool(text and (row.get("language") or options.language)),
        }
        return tuple(name for name, holds in found.items() if holds)

    def buckets(self, settings: Settings, connection: Connection, rows: Sequence[Asked] = ()) -> list[Bucket]:
        """Return the buckets that an invitation takes from."""
        return invitation_buckets(settings, connection)

    def daily_limit(self, connection: Connection) -> int:
        """Return the connection's `daily_limit`."""
        return connection.daily_limit or 0

    def look(self, connection: Connection, options: Options, *, suspect: bool) -> Look:
        """Look up where `precheck` is on, or must be for once; not for `--resend`, whose point is
        to mail people again.
        """
        return Look.WHERE_ALLOWED if not options.resend and (connection.precheck or suspect) else Look.NO

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """Return how a row ends whose guest is there; of a guest of before, mailed again on
        purpose, that says nothing.
        """
        if asked.user is None:
            return None
        outcome = judge(asked, asked.user, attempt)
        is_of_before = attempt is not None and outcome.letter is RowState.ALREADY
        return None if is_of_before and is_resent(asked.row, options) else outcome

    def judge_known(self, row: KnownRow, at_ms: int, user: DirectoryUser | None = None) -> Outcome:
        """End a row whose guest was invited lately."""
        return build_known(row, at_ms, user)

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Judge as Graph would, asked to invite this guest."""
        return foresee_answer(row, address, seen, rules)

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return an invitation for each row."""
        return [
            asked.call(
                "POST",
                "/invitations",
                build_invitation(
                    asked.row,
                    connection,
                    options,
                    silent=asked.silent,
                    sponsors=self._sponsors(asked) if asked.along else (),
                ),
            )
            for asked in rows
        ]

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Judge by Graph's answer; where a Member was asked for, a missing right is the row's own
        trouble. Sponsors that Graph does not take are left out, and set afterwards.

        Only privileged apps may invite members.
        https://learn.microsoft.com/graph/api/resources/invitation
        """
        verdict = decide(self.rules, answer, email=asked.row["email"])
        if verdict.kind is Kind.DONE:
            return verdict
        sponsors = [sponsor["id"] for sponsor in (call.request.body or {}).get("invitedUserSponsors", ())]
        if sponsors and verdict.kind is Kind.FAILED and "sponsor" in verdict.raw.lower():
            self._leave_out(sponsors)
            return replace(verdict, kind=Kind.AGAIN, cause="sponsors_not_taken")
        if verdict.hold is not HoldKind.PERMISSION or asked.row.get("user_type") != "Member":
            return verdict
        return replace(verdict, kind=Kind.FAILED, hold=None, message=_NO_MEMBERS)

    def _sponsors(self, asked: Asked) -> tuple[str, ...]:
        """Return the ids of sponsors that go with the invitation; the others are set afterwards."""
        there = (target.id for target in asked.along if target.id and not target.refused)
        return tuple(one for one in dict.fromkeys(there) if one not in self._not_taken)[:MOST_SPONSORS]

    def _leave_out(self, sponsors: Sequence[str]) -> None:
        """Send no invitation with these again: Graph may take none of an app, or not this one."""
        if len(self._not_taken) > _MOST_REMEMBERED:
            self._not_taken.clear()
        self._not_taken.update(sponsors)

    def mail(self, row: Row, connection: Connection, options: Options, *, silent: bool = False) -> str:
        """Say whether a mail is asked for: of Graph, or of the stage that sends one's own."""
        return MAILED if is_mailed(row, connection, options, silent=silent) else "none"

    def explain_doubt(self, user: DirectoryUser | None) -> str:
        """Say why nobody can find out: the app may not look, or what the app sees says nothing."""
        return _NOBODY_MAY_LOOK if user is None else _NOT_SHOWN

    def explain_unseen(self, row: Row, options: Options) -> str:
        """Say that of people who are mailed again nobody sees whether they were."""
        return _RESENDS if is_resent(row, options) else ""


_MOST_REMEMBERED = 10_000

_NO_MEMBERS = (
    "Microsoft refuses this row, probably because the app may not invite members (user_type Member): an administrator"
    " assigns it a role such as User Administrator, or the row asks for a Guest."
)
_NOBODY_MAY_LOOK = (
    "Microsoft's answer was lost, so this guest may have been invited and mailed, or not; the app may not read users,"
    " so usher cannot look: an administrator looks in the tenant's users and submits the row again if it is missing (or"
    " grants User.Read.All)."
)
_NOT_SHOWN = (
    "Microsoft's answer was lost. This guest was in the tenant before, so the directory does not show whether the"
    " invitation was mailed again: ask the guest, or submit the row with --resend once more, which may be a mail too"
    " many."
)
_RESENDS = "a job of it mails people again on purpose (--resend), and a directory does not show whether it has"


def build_invitation(
    row: Mapping[str, Any],
    connection: Connection,
    options: Options,
    *,
    silent: bool = False,
    sponsors: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the request body for one row: what the row says, else what the job says, else the
    connection.

    `silent`: without Graph's mail, whatever they say (a row sent again where nobody could look).
    `sponsors`: their ids.
    """
    body: dict[str, Any] = {
        "invitedUserEmailAddress": row["email"],
        "inviteRedirectUrl": row.get("redirect_url") or options.redirect_url or connection.redirect_url,
        "sendInvitationMessage": (
            (options.deliver or connection.deliver) == "graph" and not silent and wants_mail(row, connection, options)
        ),
    }
    if name := name_of(row):
        body["invitedUserDisplayName"] = name
    if row.get("user_type"):
        body["invitedUserType"] = row["user_type"]
    info: dict[str, Any] = {}
    message, language = row.get("message") or options.message, row.get("language") or options.language
    if message:
        info["customizedMessageBody"] = message  # Graph ignores the language beside a message of our own
    elif language:
        info["messageLanguage"] = language
    if row.get("cc"):
        info["ccRecipients"] = [{"emailAddress": {"address": row["cc"]}}]
    if info:
        body["invitedUserMessageInfo"] = info
    if sponsors:
        body["invitedUserSponsors"] = [{"id": sponsor} for sponsor in sponsors]
    return body


def name_of(row: Mapping[str, Any]) -> str:
    """Return what a guest is called; '' where the row does not say."""
    return row.get("display_name") or " ".join(filter(None, (row.get("first_name"), row.get("last_name"))))


def wants_mail(row: Mapping[str, Any], connection: Connection, options: Options) -> bool:
    """Return whether a guest is to be mailed, whoever does it (`deliver`)."""
    wanted = row.get("send_message")
    if wanted is None:
        wanted = options.send_message
    return connection.send_message if wanted is None else bool(wanted)


def is_mailed(row: Mapping[str, Any], connection: Connection, options: Options, *, silent: bool = False) -> bool:
    """Return whether somebody mails a guest; `silent` is about Graph's mail alone. Who does stays
    as it was when the job was submitted, so nobody is mailed by two.
    """
    deliver = options.deliver or connection.deliver
    if deliver == "none" or (silent and deliver not in OWN):
        return False
    return wants_mail(row, connection, options)
