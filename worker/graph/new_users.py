"""A member of the tenant is made by `POST /users`: the request, and what Graph's refusals mean.
Building and reading is pure but for the password's chance.

https://learn.microsoft.com/graph/api/user-post-users
https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from worker.graph.causes import Cause, Kind, OperationRules, Rule, Verdict
from worker.graph.patterns import wording

if TYPE_CHECKING:
    from worker.graph.batch import GraphAnswer

PASSWORD_LENGTH = 20
"""Of 8 to 256 that Entra takes."""
_KINDS = ("abcdefghijkmnopqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", "-_.!+=*")
"""Three of the four are asked for. Characters that are misread for others are left out."""
_NICKNAME = re.compile(r"[^A-Za-z0-9._-]")
_MOST_NICKNAME = 64


class CreateCause(StrEnum):
    """The causes for which Graph makes no user, in our words."""

    TAKEN = "name_taken"
    DOMAIN = "domain_not_verified"


def _read_created(answer: GraphAnswer) -> Verdict:
    body = answer.body if isinstance(answer.body, dict) else {}
    return Verdict(Kind.DONE, status=answer.status, user_id=str(body.get("id") or ""))


CREATE_USERS = OperationRules(
    verb="create users",
    permission="User.Create",
    also=frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"}),
    without="no member can be created",
    rules={
        CreateCause.TAKEN: Rule(
            Kind.FAILED,
            "Somebody in this tenant has this user principal name or address already (or a deleted user has, for 30"
            " days): look with usher users get, or take another one.",
        ),
        CreateCause.DOMAIN: Rule(
            Kind.FAILED,
            "The domain of this user principal name is none that the tenant has verified: take one that is, such as its"
            " default domain (usher connections check names it). Guests are invited (usher invite).",
        ),
    },
    patterns=(
        wording(CreateCause.TAKEN, r"same value for property", r"userPrincipalName already exists"),
        wording(CreateCause.DOMAIN, r"verified domain names?"),
    ),
    statuses={403: Cause.NO_PERMISSION},
    read_done=_read_created,
    unsure="so this user may have been created.",
)


def build_user(upn: str, name: str, password: str, more: Mapping[str, str], *, enabled: bool = True) -> dict[str, Any]:
    """Return the request's body. `more`: further properties by Graph's names. At the first sign-in
    the password has to be changed.
    """
    return {
        "accountEnabled": enabled,
        "displayName": name,
        "mailNickname": _NICKNAME.sub("", upn.partition("@")[0])[:_MOST_NICKNAME] or "user",
        "userPrincipalName": upn,
        "passwordProfile": {"password": password, "forceChangePasswordNextSignIn": True},
        **more,
    }


def make_password() -> str:
    """Return a random password with every kind of character that Entra counts."""
    chosen = [secrets.choice(kind) for kind in _KINDS]
    chosen += [secrets.choice("".join(_KINDS)) for _ in range(PASSWORD_LENGTH - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)
