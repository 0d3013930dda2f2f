"""Reading metrics as Prometheus does: a real `usher metrics` process, its page, and its numbers by
name and labels.
"""

from __future__ import annotations

import base64
import contextlib
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.processes import plain_environment, running, wait_until

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read_page(text: str) -> Series:
    """Return every number of a page by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def pick(series: Series, name: str, **labels: str) -> float:
    """Return the sum of the series of that name that carry these labels."""
    return sum(value for (known, has), value in series.items() if known == name and set(labels.items()) <= has)


def fetch(url: str, *, login: str = "", token: str = "") -> tuple[int, str]:
    """Ask for a page; return status and text."""
    request = urllib.request.Request(url)  # noqa: S310 - http on loopback
    if login:
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@dataclass(frozen=True)
class Endpoint:
    """A running `usher metrics`."""

    url: str

    def scrape(self) -> Series:
        """Fetch and read the page."""
        status, text = fetch(self.url)
        assert status == 200, text
        return read_page(text)


@contextlib.contextmanager
def run_metrics(folder: Path, *options: str, **env: str) -> Iterator[Endpoint]:
    """Run `usher metrics` on a free port of its configuration's host until the block ends."""
    log = folder / "metrics.log"
    argv = (sys.executable, "-c", "from cli import main; main()", "metrics", *options)
    with running(argv, log, plain_environment(**{"HOME": str(folder), **env}), folder) as process:
        found = wait_until(
            lambda: re.search(r"http://\S+/metrics", log.read_text()) or process.poll() is not None, 20, "the metrics"
        )
        assert process.poll() is None, log.read_text()
        yield Endpoint(found[0].replace("0.0.0.0", "127.0.0.1"))
