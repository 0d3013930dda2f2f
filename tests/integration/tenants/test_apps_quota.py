"""Many tenants of one application, which has a limit over all of them: two workers share it, spend
it to the edge and never over, and the tenants take turns. The sandbox counts.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.tenants.test_several import write_tenants
from tests.processes import Ended, run_command, running_celery, wait_until
from tests.ushers import Usher, run_usher

BATCH = 20


@dataclass(frozen=True)
class Case:
    """So many tenants with rows each, of which some are held by whoever runs usher and some take no
    invitations; the application's limit: so many writes in so many seconds. `wait_s`: for a hold
    that may end by itself, longer than each has to wait for its turn.
    """

    tenants: int
    held: int
    refused: int
    amount: int
    seconds: int
    wait_s: int
    rows: int

    @property
    def names(self) -> list[str]:
        """The connections' names."""
        return [f"tenant{number:03d}" for number in range(self.tenants)]

    @property
    def troubled(self) -> list[str]:
        """The connections that get nowhere, the held ones first, all over the list."""
        count = self.held + self.refused
        return self.names[:: self.tenants // count][:count]

    @property
    def sent(self) -> int:
        """Rows that can be sent."""
        return (self.tenants - len(self.troubled)) * self.rows


SMALL = Case(tenants=12, held=2, refused=0, amount=350, seconds=2, wait_s=60, rows=80)
LARGE = Case(tenants=150, held=5, refused=5, amount=3_500, seconds=10, wait_s=25, rows=100)
"""A tenth of Graph's bucket, which fills three times as fast."""


@dataclass(frozen=True)
class Look:
    """What the sandbox had counted at one moment of its own clock."""

    at_s: float
    invited: Mapping[str, int]  # by connection
    throttled: Mapping[str, int]  # 429s by limit

    @property
    def total(self) -> int:
        """Rows of all tenants."""
        return sum(self.invited.values())


@contextlib.contextmanager
def run_case(case: Case) -> Iterator[Usher]:
    """Run two workers, and a sandbox that enforces the application's limit beside each tenant's."""
    folder = Path(tempfile.mkdtemp(prefix="um-", dir="/tmp"))
    listed, limit = folder / "tenants.csv", f"{case.amount}/{case.seconds}s"
    sandbox = ("--quota", f"writes_per_app={limit}", "--latency", "0.02-0.06", "--replication", "0")

    def tables(ready: dict[str, Any]) -> str:
        return f'[quota]\nwrites_per_app = "{limit}"\n' + write_tenants(listed, ready, case.names)

    options = ("--tenants", str(case.tenants), "--shared-app", *sandbox)
    env = {"USHER_CONNECTIONS_FILE": str(listed)}
    second = ("worker", "-n", "second@%h", "-l", "INFO", "--without-mingle", "--without-gossip")
    try:
        with (
            run_usher(folder, sandbox_options=options, tables=tables, more_env=env) as usher,
            running_celery(second, folder / "second.log", usher.env, folder),
        ):
            wait_until(lambda: " ready." in (folder / "second.log").read_text(), 30, "a second worker")
            yield usher
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def invite(case: Case, usher: Usher) -> tuple[Ended, list[Look]]:
    """Invite through all tenants by one list; returns how the command ended, and looks at the
    sandbox meanwhile.
    """
    guests = usher.folder / "guests.csv"
    lines = [f"g{n}@partner.example,{case.names[n % case.tenants]}" for n in range(case.tenants * case.rows)]
    guests.write_text("\n".join(["email,connection", *lines]) + "\n", encoding="utf-8")
    command = ("invite", str(guests), "-c", ",".join(case.names), "--yes", "--wait", str(case.wait_s), "--json")
    ended: list[Ended] = []
    thread = threading.Thread(target=lambda: ended.append(run_command(command, usher.env, usher.folder, "", 300)))
    thread.start()
    looks = []
    while thread.is_alive():
        looks.append(look(case, usher))
        time.sleep(0.1)
    thread.join()
    return ended[0], [*looks, look(case, usher)]


def look(case: Case, usher: Usher) -> Look:
    """Ask the sandbox what it has counted."""
    stats = usher.sandbox.ask("stats")
    ids = [tenant["tenant_id"] for tenant in usher.sandbox.ready["tenants"]]
    invited = {name: stats["tenants"][tenant]["invited"] for name, tenant in zip(case.names, ids, strict=True)}
    return Look(stats["uptime_s"], invited, stats["throttled"])


@pytest.mark.parametrize(
    "case", [pytest.param(SMALL, id="12-tenants"), pytest.param(LARGE, id="150-tenants", marks=pytest.mark.long)]
)
def test_an_application_is_shared_to_the_edge_and_no_tenants_trouble_is_another_ones(case: Case) -> None:
    """All that can be sent is, in turns, at the pace of the application's limit and without one
    429; the others are held, each with a sentence; one file, status 3.
    """
    held, refused = case.troubled[: case.held], case.troubled[case.held :]
    with run_case(case) as usher:
        usher.run("connections", "hold", ",".join(held), "--reason", "moving house")
        for name in refused:
            tenant = usher.sandbox.ready["tenants"][case.names.index(name)]["tenant_id"]
            usher.sandbox.ask("policy", {"tenant_id": tenant, "allow_invites_from": "none"})
        done, looks = invite(case, usher)
        told = json.loads(done.out)
        results = usher.run("jobs", "results", told["submission"]).out
        logs = [usher.log(), (usher.folder / "second.log").read_text()]
    waiting = len(case.troubled) * case.rows
    assert (done.status, told["invited"], told["pending"]) == (3, case.sent, waiting), done.err
    for names, why in ((held, "moving house"), (refused, "invit")):
        for name in names:
            assert len(re.findall(rf"^! {name}: Held.*{why}", done.err, re.MULTILINE)) == 1, done.err
    rows = [*csv.DictReader(io.StringIO(results))]
    assert sorted(int(row["email"].partition("@")[0][1:]) for row in rows) == [*range(case.tenants * case.rows)]
    assert {row["connection"] for row in rows if row["status"] != "invited"} == set(case.troubled)
    assert all(" invited" in log for log in logs), "one worker did nothing"
    assert looks[-1].throttled == {}, "a limit was overrun"
    assert_shared(case, looks)


def assert_shared(case: Case, looks: list[Look]) -> None:
    """From when the bucket was empty until most is done, the limit is what binds, and what comes in
    goes round.
    """
    well = [name for name in case.names if name not in case.troubled]
    first = next(look for look in looks if look.total >= case.amount + BATCH)
    last = next(look for look in reversed(looks) if look.total <= 0.8 * case.sent)
    came_in = (last.at_s - first.at_s) * case.amount / case.seconds
    assert last.total - first.total >= 0.75 * came_in, "the limit was not what bound"
    assert min(last.invited[name] for name in well) > 0, last
    at_work = [name for name in well if last.invited[name] < case.rows]
    gains = [last.invited[name] - first.invited[name] for name in at_work]
    assert max(gains) - min(gains) <= 2 * BATCH, gains
