"""A plan that can be signed off: what was looked at (file, options, connection) and what is to become of every row, in one JSON file.

`invite --plan` runs just that and nothing else. The file carries a seal: under the ledger's key where there is one, so that nobody
without the key can change a plan and keep it valid; else a bare digest, which shows accidents and is no signature. No address is
in it: rows are numbers, and the list's SHA-256 says which list they are of.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tasks.errors import InputError
from tasks.lists.options import ListOptions
from worker.errors import SealBroken

if TYPE_CHECKING:
    from config import Connection
    from worker.operations.foreseen import Foreseen
    from worker.store.seal import Sealer

FORMAT: Final = 1
MOST_BYTES: Final = 32 << 20
"""Of a plan that is read: two million rows, each with another verdict than the one before."""
MATTERS: Final = (
    *("tenant_id", "client_id", "cloud", "authority", "graph_url", "redirect_url", "send_message", "allowed_domains"),
    *(
        "blocked_domains",
        "pace",
        "daily_limit",
        "precheck",
        "on_doubt",
        "refusals_in_a_row",
        "refused_share",
        "require_approval",
    ),
)
"""What of a connection a plan fixes: whom it writes to, and how. Not the credential, which is replaced now and then."""
_OF_A_SANDBOX: Final = frozenset({"authority", "graph_url"})  # the built-in one listens elsewhere each time
_LETTERS: Final = "abcdefghjklmnopqrstuvwxyzABCDEFGHJKLMNOPQRSTUVWXYZ"  # i is for invite
_INVITE: Final = "i"
_CONTEXT: Final = b"usher plan"
_GENERAL: Final = {
    "already_exists": "Already a guest of this tenant; nothing is sent.",
    "invited_before": "A job had invited this guest not long before the plan was made.",
    "invalid_row": "Not a row that can be sent.",
    "duplicate": "The same address as an earlier row.",
}
"""Reasons that name something of one row, told in general: a plan keeps one sentence a code."""


class Verdicts:
    """The verdicts of a list while they come, run by run: "120i 3a 1i"."""

    def __init__(self) -> None:
        self.whys: dict[str, dict[str, str]] = {}
        self._letters: dict[tuple[str, str], str] = {}
        self._runs: list[str] = []
        self._last, self._count = "", 0

    def add(self, foreseen: Foreseen, domain: str) -> None:
        """Take the next row's."""
        letter = _INVITE if foreseen.would == "do" else self._letter(foreseen, domain)
        if letter != self._last:
            self._end_run()
            self._last = letter
        self._count += 1

    def text(self) -> str:
        """Return all of them."""
        self._end_run()
        return " ".join(self._runs)

    def _end_run(self) -> None:
        if self._count:
            self._runs.append(f"{self._count}{self._last}")
        self._count = 0

    def _letter(self, foreseen: Foreseen, domain: str) -> str:
        key = (foreseen.would.value, foreseen.code)
        if key not in self._letters:
            letter = self._letters[key] = _LETTERS[len(self._letters)]
            why = _GENERAL.get(foreseen.code) or (foreseen.why.replace(domain, "{domain}") if domain else foreseen.why)
            self.whys[letter] = {"would": foreseen.would.value, "code": foreseen.code, "why": why}
        return self._letters[key]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan file as it was read. `name` is what it is called in sentences."""

    name: str
    told: Mapping[str, Any] = field(repr=False)

    @property
    def connection(self) -> str:
        return str(self.told["connection"]["name"])

    @property
    def options(self) -> dict[str, Any]:
        """The options of `usher invite` that it fixes, by parameter name."""
        return dict(self.told["options"])

    @property
    def reading(self) -> ListOptions:
        """How the list is read, the answers included that were given when the plan was made."""
        return ListOptions.from_dict(self.told["read"])

    @property
    def rows(self) -> int:
        return int(self.told["list"]["rows"])

    @property
    def path(self) -> str:
        """Where the list was; '' for addresses."""
        return str(self.told["list"]["path"])

    @property
    def digest(self) -> str:
        return _digest(self.told).hex()

    def verdicts(self) -> Iterable[dict[str, str] | None]:
        """Yield each row's verdict in order: None where it is invited, else would, code and why."""
        for run in str(self.told["verdicts"]).split():
            verdict = self.told["whys"][run[-1]] if run[-1] != _INVITE else None
            for _ in range(int(run[:-1])):
                yield verdict


def seal_plan(told: dict[str, Any], sealer: Sealer | None) -> str:
    """Return the text of a plan file."""
    digest = _digest(told)
    seal = f"sha256:{digest.hex()}"
    if sealer is not None:
        seal = f"ledger-key:{base64.b64encode(sealer.seal(digest, _CONTEXT)).decode()}"
    return json.dumps({**told, "seal": seal}, ensure_ascii=False, indent=1) + "\n"


def read_plan(path: str) -> Plan:
    """Read a plan file; its seal is looked at later (`check_seal`). Raises `InputError`."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise InputError(f"{path} is larger than any plan ({MOST_BYTES >> 20} MB); nothing was sent.")
        told = json.loads(raw)
        plan = Plan(path, told)
        if told["usher_plan"] != FORMAT:
            raise InputError(f"{path} is a plan of another version of usher: make it anew. Nothing was sent.")
        if sum(int(run[:-1]) for run in told["verdicts"].split()) != plan.rows or not isinstance(told["options"], dict):
            raise ValueError
        _ = (
            plan.connection,
            plan.path,
            plan.reading,
            told["list"]["sha256"],
            told["usher"],
            told["made_at"],
            told["seal"],
            told["whys"],
        )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}. Nothing was sent.") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise InputError(
            f"{path} is not a plan of usher's (usher invite … --dry-run -o plan.json). Nothing was sent."
        ) from None
    return plan


def check_seal(plan: Plan, sealer: Sealer | None) -> str:
    """Return why a plan is not to be believed, '' if it is."""
    kind, _, value = str(plan.told["seal"]).partition(":")
    changed = f"{plan.name} was changed since it was made"
    if kind == "sha256":
        if sealer is not None:
            return f"{plan.name} is not sealed with this ledger's key, so anybody could have written it"
        return "" if value == plan.digest else changed
    if sealer is None:
        return f"{plan.name} is sealed with a ledger key, and none is configured here ([ledger].key)"
    try:
        opened = sealer.open(base64.b64decode(value, validate=True), _CONTEXT)
    except (SealBroken, binascii.Error, ValueError):
        return f"{changed}, or it was made with another ledger key"
    return "" if opened.hex() == plan.digest else changed


def describe_connection(connection: Connection, *, built_in: bool) -> dict[str, Any]:
    """Return what of a connection a plan fixes."""
    told = connection.model_dump(mode="json", include=set(MATTERS) - (_OF_A_SANDBOX if built_in else set()))
    return {"name": connection.name, **told, "built_in": built_in}


def compare_connection(plan: Plan, connection: dict[str, Any]) -> list[str]:
    """Name the settings of the connection that are not as they were."""
    planned = plan.told["connection"]
    names = [name for name in {**planned, **connection} if planned.get(name) != connection.get(name)]
    return [f"the connection's {name}" for name in names]


def compare_version(plan: Plan, version: str) -> list[str]:
    """Name usher's version where it is another major one (before 1.0 the second number counts)."""
    return (
        []
        if _major(str(plan.told["usher"])) == _major(version)
        else [f"usher's version ({plan.told['usher']}, now {version})"]
    )


def hash_list(source: tuple[str, ...]) -> str:
    """Return the SHA-256 of a list: of the file's bytes, or of the addresses. Raises `InputError`."""
    if len(source) != 1 or not Path(source[0]).is_file():
        return hashlib.sha256("\n".join(source).encode("utf-8", "surrogateescape")).hexdigest()
    try:
        with Path(source[0]).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{source[0]} cannot be read: {error.strerror or error}.") from None


def _major(version: str) -> tuple[str, ...]:
    parts = version.split(".")
    return tuple(parts[:2] if parts[0] == "0" else parts[:1])


def _digest(told: Mapping[str, Any]) -> bytes:
    plain = {name: value for name, value in told.items() if name != "seal"}
    text = json.dumps(plain, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()
