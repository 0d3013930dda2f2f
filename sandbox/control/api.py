"""The control API under `/_sandbox/`: what a test or a person reads from the sandbox, and does to
it while it runs.

Reads answer JSON; changes are POSTs with a JSON object and answer `{"ok": true, …}`. A request that
is not understood is a 400 with one sentence. docs/sandbox.md lists all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson

from sandbox.certificates import read_app_certificate
from sandbox.control.applications import change_applications
from sandbox.control.groups import change_groups, show_groups
from sandbox.control.populate import populate
from sandbox.control.signin import change_signin
from sandbox.control.users import change_user, show_user
from sandbox.directory import SPELLINGS, App, Tenant, User
from sandbox.faults import ALLOW_INVITES_FROM, parse_document, parse_spec
from sandbox.federation import change_federation
from sandbox.options import LIMITS, OptionError, parse_background, parse_limits, parse_range, parse_replication
from sandbox.world import World

_MOST = 10_000
_FLAGS = {"sponsors_taken": "sponsors_taken", "p1": "has_p1", "p2": "has_p2", "sign_ins": "shows_sign_ins"}
Body = dict[str, Any]


class Control:
    """The control API of one sandbox."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reads: dict[str, Callable[[dict[str, str]], Any]] = {
            "mails": self._mails,
            "requests": self._requests,
            "guests": self._guests,
            "groups": lambda query: show_groups(self._tenant(query), query),
            "stats": lambda query: self.stats(),
            "quota": lambda query: world.quotas.show(),
            "faults": lambda query: world.faults.show(),
        }
        self._changes: dict[str, Callable[[Body], Body]] = {
            "faults": self._set_faults,
            "secret": self._secret,
            "certificate": self._certificate,
            "consent": self._consent,
            "tokens": self._tokens,
            "abuse": self._abuse,
            "reopen": self._reopen,
            "policy": self._policy,
            "users": lambda body: change_user(world, self._tenant(body), body),
            "groups": lambda body: change_groups(world, self._tenant(body), body),
            "applications": lambda body: change_applications(world, self._tenant(body), body),
            "signin": lambda body: change_signin(world, self._tenant(body), body),
            "populate": lambda body: populate(world, self._tenant(body), body),
            "federation": self._federation,
            "clock": self._clock,
            "quota": self._quota,
            "latency": self._latency,
            "reset": self._reset,
        }

    def answer(self, method: str, name: str, query: str, content_type: str, body: bytes) -> tuple[int, Any]:
        """Answer one request below `/_sandbox/`: a status and a JSON document."""
        if method == "GET" and name in self._reads:
            options = {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}
            try:
                return 200, self._reads[name](options)
            except (OptionError, ValueError) as error:
                return 400, {"error": f"{error}"}
        if method == "POST" and name in self._changes:
            # A page in somebody's browser cannot send this type without asking first, and is never
            # allowed.
            if content_type.partition(";")[0].strip().lower() != "application/json":
                return 415, {"error": "Send application/json."}
            try:
                given = orjson.loads(body) if body else {}
                if not isinstance(given, dict):
                    raise OptionError("Send a JSON object.")
                answer = self._changes[name](given)
            except (OptionError, ValueError, TypeError) as error:
                return 400, {"error": f"{error}"}
            self._world.recorder.flush()
            return 200, {"ok": True, **answer}
        names = sorted({*self._reads, *self._changes})
        return 404, {"error": f"There is no {method} {name}; there are {', '.join(names)}."}

    def stats(self) -> Body:
        """Return every count of the ledger, the login endpoint, the quotas and the tenants."""
        world = self._world
        return {
            **world.recorder.stats(),
            "tokens_issued": sum(world.tokens.issued.values()),
            "tokens_refused": {str(number): count for number, count in sorted(world.login.refused.items())},
            "throttled": dict(world.quotas.refused),
            "guests": sum(_count_guests(tenant) for tenant, _ in world.apps),
            "faults": world.faults.show(),
            "uptime_s": round(time.monotonic() - world.started_s, 3),
            "tenants": {
                tenant.id: {
                    "name": tenant.name,
                    "invited": tenant.invitations,
                    "throttled": tenant.throttled,
                    "mails": tenant.mails,
                    "users": len(tenant.users),
                    "tokens_issued": world.tokens.issued.get(tenant.id, 0),
                    "blocked_for_abuse": tenant.blocked_for_abuse,
                    "allow_invites_from": tenant.allow_invites_from,
                }
                for tenant, _ in world.apps
            },
        }

    def _mails(self, query: dict[str, str]) -> list[Body]:
        address, tenant_id, via = query.get("address", "").lower(), query.get("tenant_id"), query.get("via")
        return _page(
            (
                mail
                for mail in self._world.recorder.mails
                if (not address or mail["to"] == address)
                and tenant_id in (None, mail["tenant_id"])
                and via in (None, mail["via"])
            ),
            query,
        )

    def _requests(self, query: dict[str, str]) -> list[Body]:
        operation = query.get("operation")
        return _page(
            (entry for entry in self._world.recorder.requests if operation in (None, entry["operation"])), query
        )

    def _guests(self, query: dict[str, str]) -> list[Body]:
        tenant = self._tenant(query)
        wanted = query.get("address", "").lower()
        users: Iterable[User] = (user for user in tenant.users.values() if user.state is not None)
        if wanted:
            found = tenant.find(wanted)
            users = [] if found is None else [found]
        return [show_user(user) for user in islice(users, int(query.get("limit", _MOST)))]

    def _set_faults(self, body: Body) -> Body:
        seed = self._world.options.seed
        faults = parse_spec(body["spec"], seed) if isinstance(body.get("spec"), str) else parse_document(body, seed)
        self._world.set_faults(faults)
        return {"faults": faults.show()}

    def _secret(self, body: Body) -> Body:
        tenant, app = self._app(body)
        action = body.get("action")
        if action == "rotate":
            self._world.rotate_secret(app, keep_old=bool(body.get("keep_old")))
        elif action == "expire":
            self._world.expire_secrets(app)
        elif action == "end" and isinstance(body.get("in_s"), int | float):
            app.secrets = dict.fromkeys(app.secrets, self._world.clock.wall_s() + body["in_s"])
        elif action == "restore":
            app.secrets = dict.fromkeys(app.secrets)
        elif action in ("disable", "enable"):
            app.enabled = action == "enable"
        else:
            raise OptionError("'action' is rotate, expire, end (with in_s), restore, disable or enable.")
        if action not in ("disable", "enable"):  # those are said of the tenant, the others of the registration
            self._register(app, secrets=app.secrets)
        if body.get("revoke_tokens"):
            self._world.tokens.revoke_all()
        return {"tenant_id": tenant.id, "client_secret_file": app.secret_file}

    def _federation(self, body: Body) -> Body:
        tenant, app = self._app(body)
        told = change_federation(self._world.federation, tenant, app, body)
        self._register(app, federated=app.federated)
        return told

    def _register(self, app: App, **credential: Any) -> None:
        """Let a credential count in every tenant: an application is registered once."""
        for _, other in self._world.apps:
            if other.client_id == app.client_id:
                for name, value in credential.items():
                    setattr(other, name, value)

    def _certificate(self, body: Body) -> Body:
        """Register one more certificate with an application, as an upload in Entra's pages does."""
        tenant, app = self._app(body)
        try:
            pem = Path(str(body["file"])).read_bytes() if "file" in body else str(body.get("pem", "")).encode()
            certificate = read_app_certificate(pem)
        except (OSError, ValueError):
            raise OptionError("'file' names, or 'pem' is, one certificate in PEM or DER form.") from None
        if certificate not in app.certificates:
            app.certificates.append(certificate)
        return {"tenant_id": tenant.id, "client_id": app.client_id, "ends_at": certificate.ends_at.isoformat()}

    def _consent(self, body: Body) -> Body:
        """Consent to the application in a tenant, or take that back, as its administrator does.
        Tokens already issued stay good.
        """
        tenant, app = self._app(body)
        if body.get("action") not in ("give", "withdraw"):
            raise OptionError("'action' is give or withdraw.")
        app.consented = body["action"] == "give"
        if body.get("revoke_tokens"):
            self._world.tokens.revoke_all()
        return {"tenant_id": tenant.id, "client_id": app.client_id, "consented": app.consented}

    def _tokens(self, body: Body) -> Body:
        if "life_s" in body:
            self._world.tokens.life_s = float(body["life_s"])
        if body.get("action") == "revoke":
            self._world.tokens.revoke_all()
        return {"life_s": self._world.tokens.life_s}

    def _abuse(self, body: Body) -> Body:
        tenant = self._tenant(body)
        if "after" in body:
            tenant.abuse_after = None if body["after"] is None else int(body["after"])
        else:
            tenant.blocked_for_abuse = bool(body.get("blocked", True))
        return {"tenant_id": tenant.id, "blocked": tenant.blocked_for_abuse, "after": tenant.abuse_after}

    def _reopen(self, body: Body) -> Body:
        """Lift what only a person lifts: abuse block, invitations off, expired secrets."""
        tenant, app = self._app(body)
        tenant.blocked_for_abuse, tenant.abuse_after, tenant.allow_invites_from = False, None, "everyone"
        tenant.max_users = None
        app.secrets, app.enabled = dict.fromkeys(app.secrets), True
        return {"tenant_id": tenant.id}

    def _policy(self, body: Body) -> Body:
        tenant, app = self._app(body)
        if (allowed := body.get("allow_invites_from", body.get("allowInvitesFrom"))) is not None:
            if allowed not in ALLOW_INVITES_FROM:
                raise OptionError(f"'allow_invites_from' is one of {', '.join(ALLOW_INVITES_FROM)}.")
            tenant.allow_invites_from = allowed
        if "roles" in body:
            app.roles = tuple(str(role) for role in body["roles"])  # as in Entra, tokens already issued keep theirs
        _set_flags(tenant, body)
        if "max_users" in body:
            tenant.max_users = None if body["max_users"] is None else int(body["max_users"])
        if "spelling" in body:
            if body["spelling"] not in SPELLINGS:
                raise OptionError(f"'spelling' is one of {', '.join(SPELLINGS)}.")
            tenant.spelling = body["spelling"]
        if "mailboxes" in body:
            tenant.mailboxes = _folded(body["mailboxes"])
        if "mail_scope" in body:
            tenant.mail_scope = None if body["mail_scope"] is None else _folded(body["mail_scope"])
        if "denied_domains" in body:
            tenant.refused_domains = {str(domain).lower(): "denied" for domain in body["denied_domains"]}
        if "allowed_domains" in body:
            given = body["allowed_domains"]
            tenant.allowed_domains = None if given is None else frozenset(str(domain).lower() for domain in given)
        return {"tenant_id": tenant.id, "allow_invites_from": tenant.allow_invites_from, "roles": list(app.roles)}

    def _quota(self, body: Body) -> Body:
        """Change how the sandbox throttles; the buckets start full."""
        options = self._world.quotas.options
        for name, read in (("limits", parse_limits), ("background", parse_background)):
            if isinstance(body.get(name), str):
                body[name] = read(body[name])
        known = {
            "enabled",
            "limits",
            "time_scale",
            "retry_after",
            "accrue_while_throttled",
            "fixed_windows",
            "throttle_headers",
            "background",
        }
        if not set(body) <= known:
            raise OptionError(f"Quota options are {', '.join(sorted(known))}.")
        if body.get("retry_after", "present") not in ("present", "absent", "one") or not body.get("time_scale", 1) > 0:
            raise OptionError("'retry_after' is present, absent or one; 'time_scale' is above 0.")
        for name in ("limits", "background"):
            if name in body and not (isinstance(body[name], dict) and set(body[name]) <= set(LIMITS)):
                raise OptionError(f"'{name}' names limits: {', '.join(LIMITS)}.")
        self._world.quotas.reset(replace(options, **body))
        return {"quota": self._world.quotas.show()}

    def _clock(self, body: Body) -> Body:
        """Put the wall clock forward; nothing else runs faster."""
        clock = self._world.clock
        forward_s = body.get("forward_s", 0)
        if not isinstance(forward_s, int | float) or forward_s < 0:
            raise OptionError("'forward_s' is a number of seconds, and the clock never goes back.")
        clock.forward_s += forward_s
        return {"now": clock.stamp(), "ahead_s": clock.forward_s}

    def _latency(self, body: Body) -> Body:
        """Change how long answers take, to all or in one tenant, and how long new users stay
        unknown; notation of the start options.
        """
        world = self._world
        if "latency" in body and "tenant_id" in body:
            self._tenant(body).latency = parse_range(str(body["latency"]))
        elif "latency" in body:
            world.options = replace(world.options, latency=parse_range(str(body["latency"])))
        if "replication" in body:
            world.directory.replication, world.directory.lags = parse_replication(str(body["replication"]))
        return {}

    def _reset(self, body: Body) -> Body:
        self._world.reset()
        return {}

    def _tenant(self, query: dict[str, Any]) -> Tenant:
        return self._app(query)[0]

    def _app(self, query: dict[str, Any]) -> tuple[Tenant, App]:
        wanted = query.get("tenant_id")
        for tenant, app in self._world.apps:
            if wanted in (None, tenant.id, *tenant.domains):
                return tenant, app
        raise OptionError(f"There is no tenant {wanted}.")


def _folded(addresses: Iterable[object]) -> frozenset[str]:
    return frozenset(str(address).lower() for address in addresses)


def _page(entries: Iterable[Body], query: dict[str, str]) -> list[Body]:
    after, limit = int(query.get("after", 0)), int(query.get("limit", _MOST))
    return list(islice((entry for entry in entries if entry["n"] > after), max(0, limit)))


def _count_guests(tenant: Tenant) -> int:
    return sum(1 for user in tenant.users.values() if user.state is not None)


def _set_flags(tenant: Tenant, body: Body) -> None:
    for name, attribute in _FLAGS.items():
        if name in body:
            setattr(tenant, attribute, bool(body[name]))
