"""Graph v1.0 as one function: a request that has arrived in, its answer out; plain calls and
`$batch` alike.

Nothing here waits or touches the network. Each operation, alone or as an item, is metered first,
then done; a refusal is an exception that becomes Graph's error document.
https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

from sandbox.batches import JSON, check_envelope, read_body
from sandbox.clock import Clock
from sandbox.errors import GraphError, bad_request, error_body, unknown_segment
from sandbox.faults import Faults, Fired
from sandbox.ids import format_guid
from sandbox.invitations import Inviter
from sandbox.odata import SIGN_INS
from sandbox.quotas import THROTTLED, Meter, Quotas, Refusal
from sandbox.recorder import Recorder
from sandbox.resources.routes import ROUTES, Asked, Handler, Route, find_route
from sandbox.settings import TenantSettings
from sandbox.tokens import Caller
from sandbox.users import People

_ANSWER_TYPE = "application/json; odata.metadata=minimal; odata.streaming=true; IEEE754Compatible=false; charset=utf-8"
_SETTINGS = frozenset(
    {"organization", "domains", "policy", "b2b_policy", "cross_tenant", "tenant_information", "application"}
)
_READS = frozenset({"users", "user", "deleted"}) | _SETTINGS


@dataclass(slots=True)
class Call:
    """One HTTP request to Graph: who asks, and the ids and instant that its answers carry."""

    caller: Caller
    meter: Meter
    request_id: str
    client_request_id: str
    stamp: str


@dataclass(slots=True)
class Reply:
    """An answer ready to leave. `items` is what a `$batch` did, for the ledger."""

    status: int
    headers: dict[str, str]
    body: bytes
    items: list[tuple[str, str, int, str]] | None = None


class Graph:
    """The Graph surface of one sandbox."""

    def __init__(
        self,
        *,
        clock: Clock,
        quotas: Quotas,
        recorder: Recorder,
        inviter: Inviter,
        people: People,
        settings: TenantSettings,
        resources: Mapping[str, Handler],
        chance: random.Random,
    ) -> None:
        self.faults = Faults()
        self.limited = frozenset(route.operation for route in ROUTES if route.at_once)
        self._busy: Counter[str] = Counter()
        self._clock = clock
        self._quotas = quotas
        self._recorder = recorder
        self._inviter = inviter
        self._people = people
        self._settings = settings
        self._resources = resources
        self._chance = chance

    @property
    def operations(self) -> frozenset[str]:
        """The operations on resources that can be done."""
        return frozenset(self._resources)

    def place(self, caller: Caller, method: str, target: str) -> str:
        """Return the mailbox or the like that takes only some requests at once."""
        route, names = find_route(method, target.partition("?")[0]) or (None, ())
        return f"{route.at_once}|{caller.tenant.id}|{caller.app.client_id}|{names[0].lower()}" if route else ""

    def enter(self, place: str) -> bool:
        """Begin a request to a place; False where it has as many as it takes."""
        if self._quotas.options.enabled and self._busy[place] >= int(place.partition("|")[0]):
            return False
        self._busy[place] += 1
        return True

    def leave(self, place: str) -> None:
        """End a request that was let in."""
        self._busy[place] -= 1
        if not self._busy[place]:
            del self._busy[place]

    def crowded(self, caller: Caller) -> GraphError:
        """Return the 429 of a mailbox that works on as many requests as it takes."""
        caller.tenant.throttled += 1
        wait = {} if self._quotas.options.retry_after == "absent" else {"Retry-After": "1"}
        return GraphError(429, *THROTTLED["mailbox_requests"], wait)

    def call(self, caller: Caller, client_request_id: str) -> Call:
        """Open a call: fresh ids, buckets refilled to now."""
        meter = self._quotas.meter(caller.tenant.id, caller.app.client_id)
        return Call(caller, meter, self.request_id(), client_request_id, self._clock.stamp())

    def request_id(self) -> str:
        """Return a new request id."""
        return format_guid(f"{self._chance.getrandbits(128):032x}")

    def answer(self, call: Call, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer one HTTP request whose path below /v1.0 (or from /beta on) and query are `target`.
        Never raises for a bad request.
        """
        try:
            if target == "/$batch":
                return self._batch(call, method, headers, body)
            document = read_body(method, headers, body)
            lower = {name.lower(): value for name, value in headers.items()}
            status, found, extra = self._operate(call, method, target, lower, document)
        except GraphError as error:
            if target != "/$batch":
                self._recorder.items[operation_of(method, target), error.status] += 1
            return self.refusal(error, call.request_id, call.client_request_id)
        self._recorder.items[operation_of(method, target), status] += 1
        if found is None:
            return Reply(status, extra, b"")
        return Reply(status, {"Content-Type": _ANSWER_TYPE, **extra}, orjson.dumps(found))

    def refusal(self, error: GraphError, request_id: str, client_request_id: str) -> Reply:
        """Build the answer of a refused HTTP request."""
        document = error.body(request_id, client_request_id, self._clock.stamp())
        return Reply(error.status, {"Content-Type": JSON, **(error.headers or {})}, orjson.dumps(document))

    def _batch(self, call: Call, method: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if method != "POST":
            raise GraphError(405, "Request_BadRequest", "The $batch endpoint only supports the POST method.")
        document = read_body(method, headers, body)
        items = check_envelope(document)
        responses = []
        done: list[tuple[str, str, int, str]] = []
        failed: set[str] = set()
        for item in items:
            response = self._item(call, item, failed, done)
            if response is not None:
                responses.append(response)
        self._chance.shuffle(responses)
        return Reply(200, {"Content-Type": JSON}, orjson.dumps({"responses": responses}), done)

    def _item(
        self, call: Call, item: dict[str, Any], failed: set[str], done: list[tuple[str, str, int, str]]
    ) -> dict[str, Any] | None:
        """Do one item and return its answer, or None where a fault swallows it."""
        name, method, target = item["id"], item["method"].upper(), item["url"]
        body = item.get("body")
        operation = "invite" if target == "/invitations" and method == "POST" else operation_of(method, target)
        fired = self.faults.for_item(operation) if self.faults.items else None
        request_id = format_guid(f"{self._chance.getrandbits(128):032x}")
        found: Any
        try:
            if fired is not None and not fired.after:
                raise fired_error(fired, call.caller)
            if item.get("dependsOn") and not failed.isdisjoint(key.lower() for key in item["dependsOn"]):
                raise GraphError(424, "FailedDependency", "A request this one depends on has failed.")
            headers = {key.lower(): value for key, value in (item.get("headers") or {}).items()}
            status, found, extra = self._operate(call, method, target, headers, body)
            if fired is not None and fired.action == "status":
                raise fired_error(fired, call.caller)
        except GraphError as error:
            status, extra = error.status, error.headers or {}
            found = error_body(error.code, str(error), request_id, call.client_request_id, call.stamp)
            failed.add(name.lower())
        self._recorder.items[operation, status] += 1
        swallowed = fired is not None and fired.action == "half"
        if self._recorder.keep:
            subject = (
                body.get("invitedUserEmailAddress") if operation == "invite" and isinstance(body, dict) else target
            )
            done.append((name, operation, 0 if swallowed else status, str(subject)))
        if swallowed:
            return None
        answer = {"id": name, "status": status, "headers": {"Content-Type": JSON, "request-id": request_id, **extra}}
        if found is not None:
            answer["body"] = found
        return answer

    def _operate(
        self, call: Call, method: str, target: str, headers: Mapping[str, str], body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        """Meter and do one operation: its status, its document (None: no body), its own headers."""
        if target == "/invitations" and method == "POST":
            refusal = call.meter.take_invitation()
            if refusal is not None:
                raise self._throttled(call, refusal)
            if type(body) is not dict:
                raise bad_request("Unable to read JSON request payload. A JSON object is expected.")
            return 201, self._inviter.invite(call.caller, body), self._cost(call, 1)
        path, _, query = target.partition("?")
        operation = operation_of(method, target)
        if operation in _READS:
            return self._read(call, operation, path, query, headers)
        found = find_route(method, path)
        if found is not None:
            return self._route(call, *found, Asked(call.caller, found[1], query, headers, body))
        self._take(call, call.meter.take_read(1))
        if operation == "invite":
            raise bad_request(f"The query parameter '{query}' is not supported.", "Request_UnsupportedQuery")
        raise _unknown(method, path)

    def _route(self, call: Call, route: Route, names: tuple[str, ...], asked: Asked) -> tuple[int, Any, dict[str, str]]:
        """Meter and do one operation on a resource."""
        if route.limits:
            self._take(call, call.meter.take_own(route.limits, names[0]))
            return *self._resources[route.operation](asked), {}
        units = route.price(asked.query)
        self._take(call, call.meter.take_write(units) if route.write else call.meter.take_read(units))
        return *self._resources[route.operation](asked), self._cost(call, units)

    def _read(
        self, call: Call, operation: str, path: str, query: str, headers: Mapping[str, str]
    ) -> tuple[int, Any, dict[str, str]]:
        if operation in ("users", "user") and SIGN_INS in query:
            self._take(call, call.meter.take_own(("sign_in_reads_per_app",)))
        units = 2 if operation == "users" and ("select=" not in query or "expand=" in query) else 1
        self._take(call, call.meter.take_read(units))
        eventual = headers.get("consistencylevel", "").lower() == "eventual"
        found: Any
        if operation == "users":
            found, units = self._people.list_users(call.caller, query, eventual=eventual)
        elif operation == "user":
            found, units = self._people.get_user(call.caller, unquote(path[7:]), query)
        elif operation == "deleted":
            found, units = self._people.list_deleted(call.caller, query, eventual=eventual)
        else:
            found = self._settings.read(call.caller, operation, path, query)
        return 200, found, self._cost(call, units)

    def _cost(self, call: Call, units: int) -> dict[str, str]:
        headers = {"x-ms-resource-unit": str(units)}
        warning = call.meter.warning()
        if warning is not None:
            headers["x-ms-throttle-limit-percentage"] = warning
        return headers

    def _take(self, call: Call, refusal: Refusal | None) -> None:
        if refusal is not None:
            raise self._throttled(call, refusal)

    def _throttled(self, call: Call, refusal: Refusal) -> GraphError:
        call.caller.tenant.throttled += 1
        headers = {}
        if self._quotas.options.throttle_headers and refusal.scope:
            headers = {"x-ms-throttle-scope": refusal.scope, "x-ms-throttle-information": refusal.information}
        if refusal.retry_after is not None:
            headers["Retry-After"] = refusal.retry_after
        warning = call.meter.warning()
        if warning is not None:
            headers["x-ms-throttle-limit-percentage"] = warning
        return GraphError(429, *THROTTLED[refusal.bucket.name], headers)


def operation_of(method: str, target: str) -> str:
    """Name the operation of a method and a path below /v1.0 (or from /beta on), or "unknown"."""
    path = target.partition("?")[0]
    if path == "/invitations":
        return "invite" if method == "POST" else "unknown"
    if path == "/$batch":
        return "batch"
    if method == "GET":
        if (plain := _PLAIN_READS.get(path)) is not None:
            return plain
        if path.startswith("/users/") and path.count("/") == 2 and len(path) > 7:
            return "user"
    if (found := find_route(method, path)) is not None:
        return found[0].operation
    if method != "GET":
        return "unknown"
    if path.startswith("/tenantRelationships/findTenantInformationByDomainName("):
        return "tenant_information"
    if path.startswith("/applications("):
        return "application"
    return "unknown"


_PLAIN_READS = {
    "/users": "users",
    "/organization": "organization",
    "/domains": "domains",
    "/policies/authorizationPolicy": "policy",
    "/policies/crossTenantAccessPolicy/default": "cross_tenant",
    "/policies/crossTenantAccessPolicy/partners": "cross_tenant",
    "/beta/policies/b2bManagementPolicies": "b2b_policy",
    "/beta/legacy/policies": "b2b_policy",
    "/directory/deletedItems/microsoft.graph.user": "deleted",
}


def fired_error(fired: Fired, caller: Caller | None) -> GraphError:
    """Return the refusal that a `status` or `half` fault stands for."""
    headers = {}
    if fired.retry_after is not None and fired.status in (429, 503):
        headers["Retry-After"] = fired.retry_after
    if fired.status == 429 and caller is not None:
        headers["x-ms-throttle-scope"] = f"Tenant_Application/Write/{caller.app.client_id}/{caller.tenant.id}"
    return GraphError(fired.status, fired.code, fired.message, headers)


def batch_operations(body: bytes) -> tuple[str, ...]:
    """Name what a fault knows a `$batch` request by: "batch" and its first item's operation."""
    try:
        first = orjson.loads(body)["requests"][0]
        return "batch", operation_of(first["method"].upper(), first["url"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return ("batch",)


def _unknown(method: str, path: str) -> GraphError:
    if path in ("/invitations", "/users", "/groups", "/organization", "/policies/authorizationPolicy"):
        return GraphError(
            405, "Request_BadRequest", f"Specified HTTP method '{method}' is not allowed for the request target."
        )
    return unknown_segment(path.strip("/").partition("/")[0])
