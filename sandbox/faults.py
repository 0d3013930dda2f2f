"""What goes wrong on purpose: a spec of faults, each with a chance or a rhythm, decided by a seeded
generator.

A fault acts on a whole HTTP request (the default) or on one `$batch` item (`@item`), before the
request was processed or after. `after` is the interesting half: the guest is invited and mailed,
and the caller does not learn it.

Text form, comma-separated: `NAME[@item][@OPERATION]=CHANCE` with CHANCE `0.01`, `1/50` (every
50th), `1*2` (always, but twice at most). JSON form: `{"faults": [{"fault": NAME, "on": ["item",
"invite"], "probability": …, "every": …, "skip": …, "times": …, "seconds": [1, 3], "retry_after":
"7", "status": …, "code": …, "message": …}], "abuse_after": 40, …}`. Names and operations are in
docs/sandbox.md.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from sandbox.options import OptionError, SecondsRange, parse_range
from sandbox.resources.routes import ROUTES

Action = Literal["status", "reset", "truncated", "html", "half", "expired", "invalid-token", "slow", "hang"]
Timing = Literal["before", "after", "either"]

OPERATIONS = (
    "invite",
    "batch",
    "users",
    "user",
    "organization",
    "policy",
    "deleted",
    "domains",
    "b2b_policy",
    "cross_tenant",
    "tenant_information",
    "application",
    *dict.fromkeys(route.operation for route in ROUTES),
    "unknown",
    "token",
    "discovery",
    "smtp",
    "smtp_recipient",
)

_SMTP = frozenset({"smtp", "smtp_recipient"})
_ONLY_NAMED = _SMTP | {"token", "discovery"}
_NAMES: dict[str, tuple[Action, Timing, int]] = {
    "429": ("status", "before", 429),
    "500": ("status", "either", 500),
    "502": ("status", "either", 502),
    "503": ("status", "before", 503),
    "504": ("status", "either", 504),
    "error": ("status", "before", 400),
    "reset": ("reset", "either", 0),
    "lost": ("reset", "after", 0),
    "truncated": ("truncated", "after", 200),
    "html": ("html", "either", 502),
    "html-200": ("html", "either", 200),
    "half": ("half", "after", 0),
    "expired": ("expired", "before", 401),
    "invalid-token": ("invalid-token", "before", 401),
    **{str(status): ("status", "before", status) for status in (421, 450, 451, 452, 550, 552, 554)},
    "slow": ("slow", "after", 0),
    "hang": ("hang", "either", 0),
}
_ON_ITEMS: frozenset[Action] = frozenset({"status", "half"})
_CODES = {
    429: ("TooManyRequests", "Too many requests. Try again later."),
    500: ("InternalServerError", "An internal server error occurred."),
    502: ("UnknownError", "Bad gateway."),
    503: ("serviceNotAvailable", "The service is temporarily unavailable. Please retry later."),
    504: ("UnknownError", "Gateway timeout."),
    421: ("", "4.3.2 The service is shutting down, please try again later."),
    450: ("", "4.2.1 The mailbox is busy, please try again later."),
    451: ("", "4.7.1 Please try again later."),
    452: ("", "4.3.1 There is not enough room at the moment."),
    550: ("", "5.1.1 The recipient is not known here."),
    552: ("", "5.2.2 The mailbox is full."),
    554: ("", "5.7.1 The message is refused."),
}
_SMTP_STATUSES = frozenset({421, 450, 451, 452, 550, 552, 554})
_SMTP_ACTIONS: frozenset[Action] = frozenset({"status", "reset", "slow", "hang"})
_FIELDS = frozenset(
    {"fault", "on", "probability", "every", "skip", "times", "seconds", "retry_after", "status", "code", "message"}
)
_SETTINGS = frozenset({"abuse_after", "allow_invites_from", "secret", "max_users"})


@dataclass(frozen=True, slots=True)
class Fired:
    """One fault that happens now. `after` says that the request is processed all the same."""

    name: str
    action: Action
    after: bool
    status: int
    code: str
    message: str
    retry_after: str | None
    seconds: float


@dataclass(slots=True)
class Fault:
    """One line of a spec, with its own generator and counters."""

    name: str
    action: Action
    timing: Timing
    on_item: bool
    operations: frozenset[str]
    probability: float
    every: int
    skip: int
    times: int | None
    status: int
    code: str
    message: str
    retry_after: str | None
    seconds: SecondsRange
    chance: random.Random
    seen: int = 0
    fired: int = 0

    def concerns(self, operation: str) -> bool:
        """Say if this fault can strike an operation; those of login and mail servers only if it
        names them."""
        return operation in self.operations if self.operations else operation not in _ONLY_NAMED

    def decide(self) -> Fired | None:
        """Say if the fault happens to a request it concerns, and count it."""
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.fired >= self.times):
            return None
        if self.every:
            if (self.seen - self.skip) % self.every:
                return None
        elif self.chance.random() >= self.probability:
            return None
        self.fired += 1
        return Fired(
            name=self.name,
            action=self.action,
            after=self.timing == "after" or (self.timing == "either" and self.chance.random() < 0.5),
            status=self.status,
            code=self.code,
            message=self.message,
            retry_after=self.retry_after,
            seconds=self.seconds.at(self.chance.random()),
        )


@dataclass(slots=True)
class Faults:
    """A sandbox's faults. `envelope` act on HTTP requests, `items` on `$batch` items; `settings`
    are states of a tenant.
    """

    envelope: list[Fault] = field(default_factory=list)
    items: list[Fault] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def for_request(self, operations: tuple[str, ...]) -> Fired | None:
        """Return the first fault that strikes an HTTP request known by any of these operations."""
        for fault in self.envelope:
            if any(fault.concerns(operation) for operation in operations) and (fired := fault.decide()):
                return fired
        return None

    def for_item(self, operation: str) -> Fired | None:
        """Return the first fault that strikes a `$batch` item."""
        for fault in self.items:
            if fault.concerns(operation) and (fired := fault.decide()):
                return fired
        return None

    def show(self) -> list[dict[str, Any]]:
        """Return every fault with how often it could have happened and did."""
        return [
            {
                "fault": fault.name,
                "on": ["item" if fault.on_item else "envelope", *sorted(fault.operations)],
                "probability": fault.probability,
                "every": fault.every,
                "times": fault.times,
                "seen": fault.seen,
                "fired": fault.fired,
            }
            for fault in (*self.envelope, *self.items)
        ]


def load_faults(text: str, seed: int) -> Faults:
    """Read a spec, or a JSON file that holds one if `text` is a path. Raises `OptionError`."""
    text = text.strip()
    if not text:
        return Faults()
    if text[0] not in "[{" and "=" not in text:
        try:
            text = Path(text).read_text("utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise OptionError(f"'{text}' is neither a fault spec nor a file that can be read ({error}).") from None
    if text[:1] in "[{":
        try:
            document = orjson.loads(text)
        except ValueError as error:
            raise OptionError(f"The faults file is not JSON: {error}.") from None
        return parse_document(document, seed)
    return parse_spec(text, seed)


def parse_spec(text: str, seed: int) -> Faults:
    """Read the text form. Raises `OptionError`."""
    entries: list[dict[str, Any]] = []
    document: dict[str, Any] = {"faults": entries}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            raise OptionError(f"'{part}' is not a fault such as 504=0.01.")
        name, *on = name.strip().split("@")
        if name.replace("-", "_") in _SETTINGS:
            document[name.replace("-", "_")] = int(value) if value.isdecimal() else value
        elif name == "invitations" and value == "off":
            document["allow_invites_from"] = "none"
        else:
            entries.append({"fault": name, "on": on, **_chance(part, value)})
    return parse_document(document, seed)


def parse_document(document: object, seed: int) -> Faults:
    """Read the JSON form: a list of faults, or an object with `faults`. Raises `OptionError`."""
    if isinstance(document, list):
        document = {"faults": document}
    if not isinstance(document, dict) or not isinstance(document.get("faults", []), list):
        raise OptionError("Faults are a JSON list, or an object with a list named 'faults'.")
    faults = Faults(settings=_settings({key: value for key, value in document.items() if key != "faults"}))
    for index, entry in enumerate(document.get("faults", [])):
        try:
            fault = _fault(entry, random.Random(f"{seed}|{index}"))
        except (TypeError, ValueError):
            raise OptionError(f"A number of this fault cannot be read: {entry}") from None
        (faults.items if fault.on_item else faults.envelope).append(fault)
    return faults


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    for name, value in settings.items():
        fits = {
            "abuse_after": isinstance(value, int),
            "max_users": isinstance(value, int),
            "allow_invites_from": value in ALLOW_INVITES_FROM,
            "secret": value == "expired",
        }.get(name)
        if not fits:
            raise OptionError(f"'{name}={value}' is not a fault setting; these are {', '.join(sorted(_SETTINGS))}.")
    return settings


ALLOW_INVITES_FROM = ("everyone", "adminsGuestInvitersAndAllMembers", "adminsAndGuestInviters", "none")
"""The values of a tenant's `allowInvitesFrom`."""


def _chance(part: str, value: str) -> dict[str, Any]:
    value, star, times = value.strip().partition("*")
    chance: dict[str, Any] = {"times": int(times)} if star and times.isdecimal() else {}
    if value.startswith("1/") and value[2:].isdecimal():
        return {**chance, "every": int(value[2:])}
    try:
        return {**chance, "probability": float(value)}
    except ValueError:
        raise OptionError(f"'{part}': the chance is a number such as 0.01, or 1/50 for every 50th.") from None


def _fault(entry: object, chance: random.Random) -> Fault:
    if not isinstance(entry, dict) or not set(entry) <= _FIELDS or not isinstance(entry.get("fault"), str):
        raise OptionError(
            f"A fault is an object with 'fault' and any of {', '.join(sorted(_FIELDS))}; this is not: {entry}"
        )
    name = entry["fault"]
    plain, timing = name, None
    for ending in ("before", "after"):
        if name.endswith(f"-{ending}"):
            plain, timing = name.removesuffix(f"-{ending}"), ending
    if plain not in _NAMES:
        raise OptionError(f"'{name}' is not a fault; these are {', '.join(_NAMES)}, most with -before or -after.")
    action, usual, status = _NAMES[plain]
    on = entry.get("on") or []
    on = [on] if isinstance(on, str) else list(on)
    item = action == "half" or "item" in on
    operations = frozenset(on) - {"item", "envelope"}
    if not operations <= set(OPERATIONS):
        raise OptionError(f"'{name}@{min(operations - set(OPERATIONS))}': operations are {', '.join(OPERATIONS)}.")
    if item and action not in _ON_ITEMS:
        raise OptionError(f"'{name}' strikes whole requests, not one item of a batch.")
    status = int(entry.get("status", status))
    _check_smtp(name, action, status, operations)
    probability, every = entry.get("probability"), entry.get("every", 0)
    if probability is None:
        probability = 0.0 if every else 1.0
    if not isinstance(probability, int | float) or not 0 <= probability <= 1 or not isinstance(every, int) or every < 0:
        raise OptionError(f"'{name}': the probability is from 0 to 1 and 'every' a whole number.")
    code, message = _CODES.get(status, ("UnknownError", "The request failed."))
    return Fault(
        name=name,
        action=action,
        timing=timing or usual,  # type: ignore[arg-type]  # one of the two endings above
        on_item=item,
        operations=operations,
        probability=float(probability),
        every=every,
        skip=int(entry.get("skip", 0)),
        times=None if entry.get("times") is None else int(entry["times"]),
        status=status,
        code=str(entry.get("code", code)),
        message=str(entry.get("message", message)),
        retry_after=str(entry["retry_after"]) if "retry_after" in entry else "1" if status in (429, 503) else None,
        seconds=_seconds(entry.get("seconds", "3-10" if action == "slow" else 0)),
        chance=chance,
    )


def _check_smtp(name: str, action: Action, status: int, operations: frozenset[str]) -> None:
    """A mail server has statuses of its own, and no tokens or JSON. Raises `OptionError`."""
    if not operations.isdisjoint(_SMTP):
        foreign = action == "status" and name != "error" and status not in _SMTP_STATUSES
        if not operations <= _SMTP or action not in _SMTP_ACTIONS or foreign:
            raise OptionError(f"'{name}' cannot strike the mail server.")
    elif action == "status" and status in _SMTP_STATUSES:
        raise OptionError(f"'{name}' is a mail server's: name smtp or smtp_recipient with it.")


def _seconds(value: object) -> SecondsRange:
    if isinstance(value, list) and len(value) == 2:
        return parse_range(f"{value[0]}-{value[1]}")
    return parse_range(str(value))
