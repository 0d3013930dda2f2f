"""What the sandbox received and mailed: exact counts always, the requests and mails themselves as
far as there is room.

This is the ledger a test asserts against: it is written by the side that was asked, not by the one
that asked. With a log file every invitation and mail is also a JSON line, written before the answer
leaves.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from sandbox.directory import Tenant, User
from sandbox.groups import Group
from sandbox.letters import Letter, Via

_SHOWN_TWICE = 100
BY_SMTP = "smtp"
"""Stands for a tenant where mail came by SMTP, which knows of none."""


class AppendFile:
    """Lines collected during one request and appended to a file in one write."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lines: list[bytes] = []

    def add(self, entry: dict[str, Any]) -> None:
        """Take one entry, to be written by the next `flush`."""
        self._lines.append(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))

    def flush(self) -> None:
        """Append what was taken."""
        if self._lines:
            os.write(self._descriptor, b"".join(self._lines))
            self._lines.clear()

    def truncate(self) -> None:
        """Start the file anew."""
        self._lines.clear()
        os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Write the rest and close."""
        self.flush()
        os.close(self._descriptor)


class Recorder:
    """The ledger of one sandbox.

    `http` and `items` count by (operation, status), an answer that never left having status 0;
    `mailed` counts mails by tenant id and folded address.
    """

    def __init__(self, keep: int, stamp: Callable[[], str]) -> None:
        self.keep = keep
        self.log: AppendFile | None = None
        self.journal: AppendFile | None = None
        self._stamp = stamp
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.http: Counter[tuple[str, int]] = Counter()
        self.items: Counter[tuple[str, int]] = Counter()
        self.requests: deque[dict[str, Any]] = deque(maxlen=self.keep)
        self.mails: deque[dict[str, Any]] = deque(maxlen=self.keep)
        self.mailed: dict[str, dict[str, int]] = {}
        self.mails_total = 0
        self.mailed_twice: dict[str, int] = {}
        self.mails_max = 0
        self.invited = 0
        self.invited_again = 0
        self.requests_total = 0

    def invitation(self, tenant: Tenant, user: User, address: str, invitation_id: str, *, again: bool) -> None:
        """Record an invitation that was processed, whether or not its answer arrives."""
        self.invited += 1
        self.invited_again += again
        tenant.invitations += 1
        if self.log is not None:
            self.log.add(
                {
                    "event": "invitation",
                    "at": self._stamp(),
                    "tenant_id": tenant.id,
                    "email": address,
                    "user_id": user.id,
                    "invitation_id": invitation_id,
                    "again": again,
                }
            )
        if self.journal is not None:
            self.user_changed(tenant, user)

    def mail(self, tenant: Tenant, user: User, address: str, body: dict[str, Any], redeem_url: str) -> None:
        """Record Entra's own e-mail to a guest; `body` is the invitation as it was asked for."""
        user.mails += 1
        count = self._note(tenant, address, "invitation")
        if not self.keep:
            return
        info = body.get("invitedUserMessageInfo") or {}
        letter = Letter(
            via="invitation",
            sender=f"invites@{tenant.initial_domain}",
            subject=f"You are invited to {tenant.name}",
            text=f"{tenant.name} invites you. To accept, open {redeem_url}",
            cc=tuple(entry["emailAddress"]["address"] for entry in info.get("ccRecipients") or ()),
        )
        self._keep_letter(
            tenant.id,
            address,
            count,
            letter,
            user_id=user.id,
            language=None if info.get("customizedMessageBody") else info.get("messageLanguage"),
            # Entra drops a custom message that a service principal sends; every caller here is one.
            message=None,
            message_dropped=bool(info.get("customizedMessageBody")),
            redeem_url=redeem_url,
        )

    def letter(self, tenant: Tenant | None, address: str, letter: Letter) -> None:
        """Record a letter to one address, folded; by SMTP it comes from no tenant."""
        count = self._note(tenant, address, letter.via)
        if self.keep:
            self._keep_letter(tenant.id if tenant else BY_SMTP, address, count, letter)

    def _note(self, tenant: Tenant | None, address: str, via: Via) -> int:
        """Count a letter, in the files too; returns how many that makes for this address."""
        tenant_id = tenant.id if tenant else BY_SMTP
        count = self.count_mail(tenant, address)
        if self.log is not None:
            told = {"tenant_id": tenant_id, "to": address, "count": count, "via": via}
            self.log.add({"event": "mail", "at": self._stamp(), **told})
        if self.journal is not None:
            self.journal.add({"tenant_id": tenant_id, "mailed": address})
        return count

    def _keep_letter(self, tenant_id: str, address: str, count: int, letter: Letter, **more: Any) -> None:
        about = {"n": self.mails_total, "at": self._stamp(), "tenant_id": tenant_id, "to": address, "count": count}
        self.mails.append({**about, **letter.show(), **more})

    def count_mail(self, tenant: Tenant | None, address: str) -> int:
        """Count a mail to an address (folded) and return how many that makes."""
        self.mails_total += 1
        tenant_id = BY_SMTP
        if tenant is not None:
            tenant_id = tenant.id
            tenant.mails += 1
        mailed = self.mailed.get(tenant_id)
        if mailed is None:
            mailed = self.mailed[tenant_id] = {}
        count = mailed[address] = mailed.get(address, 0) + 1
        if count > self.mails_max:
            self.mails_max = count
        if count > 1:
            self.mailed_twice[f"{tenant_id} {address}"] = count
        return count

    def user_changed(self, tenant: Tenant, user: User) -> None:
        """Journal a user's new state, where the sandbox keeps its directory over restarts."""
        if self.journal is not None:
            self.journal.add({"tenant_id": tenant.id, "user": user})

    def group_changed(self, tenant: Tenant, group: Group) -> None:
        """Journal a group that was made or changed, without its members."""
        if self.journal is not None:
            self.journal.add({"tenant_id": tenant.id, "group": {**asdict(group), "members": {}}})

    def members_changed(
        self, tenant: Tenant, group: Group, *, joined: tuple[str, ...] = (), left: tuple[str, ...] = ()
    ) -> None:
        """Journal who joined and left a group."""
        if self.journal is not None:
            self.journal.add({"tenant_id": tenant.id, "members_of": group.id, "joined": joined, "left": left})

    def user_purged(self, tenant: Tenant, user: User) -> None:
        """Journal that a user is gone for good."""
        if self.journal is not None:
            self.journal.add({"tenant_id": tenant.id, "purged": user.id})

    def request(self, operation: str, status: int, **fields: Any) -> None:
        """Record one HTTP request as it was answered; status 0 if no answer left."""
        self.http[operation, status] += 1
        self.requests_total += 1
        if self.keep:
            self.requests.append(
                {"n": self.requests_total, "at": self._stamp(), "operation": operation, "status": status, **fields}
            )

    def flush(self) -> None:
        """Write what was logged; called before an answer leaves."""
        if self.log is not None:
            self.log.flush()
        if self.journal is not None:
            self.journal.flush()

    def stats(self) -> dict[str, Any]:
        """Return every count for the control API."""
        return {
            "requests": _by_operation(self.http),
            "items": _by_operation(self.items),
            "requests_total": self.requests_total,
            "invited": self.invited,
            "invited_again": self.invited_again,
            "mails": {
                "total": self.mails_total,
                "addresses": sum(len(mailed) for mailed in self.mailed.values()),
                "max_per_address": self.mails_max,
                "more_than_once": len(self.mailed_twice),
                "more_than_once_addresses": dict(list(self.mailed_twice.items())[:_SHOWN_TWICE]),
            },
        }


def _by_operation(counts: Counter[tuple[str, int]]) -> dict[str, dict[str, int]]:
    shown: dict[str, dict[str, int]] = {}
    for (operation, status), count in sorted(counts.items()):
        shown.setdefault(operation, {})[str(status)] = count
    return shown
