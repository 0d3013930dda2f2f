"""The requests that the sandbox's resources answer: method, path and price of each operation.

`{}` stands for one segment of a path. Prices are resource units without `$select`, which saves one;
operations with limits of their own count against those and not against the directory's.
https://learn.microsoft.com/graph/throttling-limits
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from sandbox.tokens import Caller


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: how it is asked for, and what it costs. `at_once`: how many requests with the
    same first name in the path may be in work, 0 for any number.
    """

    operation: str
    method: str
    template: str
    units: int = 1
    write: bool = False
    limits: tuple[str, ...] = ()
    at_once: int = 0

    def price(self, query: str) -> int:
        """Return the resource units that it costs with a query string."""
        return max(1, self.units - ("select=" in query))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that has arrived: who asks, what stands in the path's `{}`, and the rest."""

    caller: Caller
    names: tuple[str, ...]
    query: str
    headers: Mapping[str, str]
    body: Any


Handler = Callable[[Asked], tuple[int, Any]]
"""Does an operation; returns its status and its document (None: no body)."""

ROUTES = (
    Route("update_user", "PATCH", "/users/{}", write=True),
    Route("create_user", "POST", "/users", write=True),
    Route("delete_user", "DELETE", "/users/{}", write=True),
    Route("deleted_item", "GET", "/directory/deletedItems/{}"),
    Route("restore", "POST", "/directory/deletedItems/{}/restore", write=True),
    Route("purge", "DELETE", "/directory/deletedItems/{}", write=True),
    Route("applications", "GET", "/applications"),
    Route("groups", "GET", "/groups", units=2),
    Route("group", "GET", "/groups/{}"),
    Route("update_group", "PATCH", "/groups/{}", write=True),
    Route("members", "GET", "/groups/{}/members", units=3),
    Route("add_member", "POST", "/groups/{}/members/$ref", write=True),
    Route("owners", "GET", "/groups/{}/owners", units=3),
    Route("remove_member", "DELETE", "/groups/{}/members/{}/$ref", write=True),
    Route("delete_user", "DELETE", "/groups/{}/members/{}", write=True),
    Route("sponsors", "GET", "/users/{}/sponsors"),
    Route("add_sponsor", "POST", "/users/{}/sponsors/$ref", write=True),
    Route("remove_sponsor", "DELETE", "/users/{}/sponsors/{}/$ref", write=True),
    Route("delete_user", "DELETE", "/users/{}/sponsors/{}", write=True),
    Route("team", "GET", "/teams/{}", limits=("team_calls_per_app_and_tenant",)),
    Route(
        "add_team_members", "POST", "/teams/{}/members/add", limits=("team_calls_per_app_and_tenant", "adds_per_team")
    ),
    Route("send_mail", "POST", "/users/{}/sendMail", limits=("mailbox_requests", "mails_per_mailbox"), at_once=4),
    Route("check_member_groups", "POST", "/users/{}/checkMemberGroups", units=4),
    Route("role_assignments", "GET", "/roleManagement/directory/roleAssignments"),
    Route("role_eligibilities", "GET", "/roleManagement/directory/roleEligibilityScheduleInstances"),
)


def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """Return the route of a method and a path below /v1.0, and what is in its `{}`; None: none."""
    segments = path.split("/")
    for route, template in _BY_FORM.get((method, len(segments)), ()):
        if all(wanted in ("{}", segment) for wanted, segment in zip(template, segments, strict=True)):
            names = tuple(
                unquote(segment) for wanted, segment in zip(template, segments, strict=True) if wanted == "{}"
            )
            if all(names):
                return route, names
    return None


def _by_form() -> dict[tuple[str, int], list[tuple[Route, list[str]]]]:
    found: dict[tuple[str, int], list[tuple[Route, list[str]]]] = {}
    for route in sorted(ROUTES, key=lambda route: route.template.count("{}")):  # a fixed word goes before a name
        template = route.template.split("/")
        found.setdefault((route.method, len(template)), []).append((route, template))
    return found


_BY_FORM = _by_form()
