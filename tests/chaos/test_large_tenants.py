"""A tenant of 100,000 guests is read with the fewest requests and in the memory of a small one."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from tests.processes import USHER
from tests.sites import Site

pytestmark = [
    pytest.mark.sandbox(options=("--quota", "off"), latency="0", replication="0", roles=("User.Read.All",)),
    pytest.mark.long,
    pytest.mark.timeout(300),
]
_A_PAGE = 999


_TELLING = (
    "import os, subprocess, sys; began = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL);"
    " _, status, used = os.wait4(began.pid, 0); print(os.waitstatus_to_exitcode(status), used.ru_maxrss)"
)
"""A process's peak counts that of the process which began it: so a small one begins it."""


def run(site: Site, *arguments: str) -> tuple[int, int]:
    """Run a command of its own process; its status, and the most memory that it had, in KiB."""
    argv = (sys.executable, "-c", _TELLING, *USHER, *arguments)
    told = subprocess.run(argv, env=site.env, cwd=site.folder, stdout=subprocess.PIPE, check=True).stdout.split()
    return int(told[0]), int(told[1])


def guests_of(kinds: dict[str, list[str]]) -> int:
    """How many of those who were made are guests."""
    return sum(len(addresses) for kind, addresses in kinds.items() if not kind.startswith("member"))


@pytest.mark.parametrize(
    "command",
    [
        ("list", "-o", "guests.csv"),
        ("funnel", "--by", "domain", "-o", "funnel.csv"),
        ("funnel", "--by", "job", "--json"),
    ],
    ids=" ".join,
)
def test_memory_and_requests_do_not_grow_beyond_the_pages(site: Site, command: tuple[str, ...]) -> None:
    """Five times the guests: five times the pages, no more memory; every tenth page is throttled
    once, waited for and asked for again.
    """
    peaks, there = [], 4
    for number, count in enumerate((20_000, 80_000)):
        there += guests_of(site.sandbox.ask("populate", {"count": count, "name": f"g{number}"})["kinds"])
        fault = {"fault": "429", "on": ["users"], "every": 10, "retry_after": "1"}
        site.sandbox.ask("faults", {"faults": [fault]})
        before = len(site.sandbox.ask("requests?operation=users"))
        status, peak = run(site, "guests", command[0], "-c", "contoso", *command[1:])
        assert status == 0
        peaks.append(peak)
        asked = Counter(entry["status"] for entry in site.sandbox.ask("requests?operation=users")[before:])
        assert asked[200] == -(-there // _A_PAGE)
        assert asked == {200: asked[200], 429: (asked[200] + asked[429]) // 10}
        site.sandbox.ask("faults", {"faults": []})
        if command[0] == "list":
            assert (site.folder / "guests.csv").read_text().count("\n") == there + 1
    assert (peaks[1] - peaks[0]) * 1024 < 40 * 80_000, f"{peaks} KiB"


def test_memory_of_a_clean_up_does_not_grow_with_the_tenant(site: Site) -> None:
    """Five times the guests, of whom most are due: what is due waits in a file."""
    guard = ["RoleManagement.Read.Directory", "GroupMember.Read.All"]
    site.sandbox.ask("policy", {"roles": ["User.Read.All", "AuditLog.Read.All", *guard]})
    file = site.folder / "usher.toml"
    text = file.read_text().replace("[quota]\n", '[quota]\nsign_in_reads_per_app = "100000/1s"\n')
    file.write_text(f'{text}[connections.contoso.clean]\ndisable_inactive_after = "90d"\nmost_disabled = 10\n')
    peaks = []
    for number, count in enumerate((20_000, 80_000)):
        kinds = ["inactive", "never_seen", "active"]
        site.sandbox.ask("populate", {"count": count, "name": f"g{number}", "kinds": kinds})
        status, peak = run(site, "guests", "clean", "-c", "contoso")
        assert status == 0
        peaks.append(peak)
    assert (peaks[1] - peaks[0]) * 1024 < 40 * 80_000, f"{peaks} KiB"
