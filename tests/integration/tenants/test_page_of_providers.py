"""The rehearsal of docs/providers.md is typed as it stands, from an empty folder to three tenants
of which one takes its consent back.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.brokers import free_port
from tests.needs import need
from tests.places import Place, open_bare_place
from tests.processes import USHER, running, wait_until

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")
ADD = "usher connections add adatum"


def _blocks() -> list[str]:
    part = PAGE.partition("## Rehearse it\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n)+", part, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks]


class Typed:
    """A shell in an empty folder, for which the sandbox has a port of its own."""

    def __init__(self, place: Place) -> None:
        self.place, self.port = place, str(free_port())

    def argv(self, text: str) -> tuple[str, ...]:
        """Return what runs it, with this checkout's `usher`."""
        return "bash", "-c", f'usher() {{ {shlex.join(USHER)} "$@"; }}\n{text.replace("8443", self.port)}'

    def run(self, text: str) -> tuple[int, str]:
        """Run it to its end: the last command's status, and all that is printed."""
        done = subprocess.run(
            self.argv(text),
            cwd=self.place.folder,
            env=self.place.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout

    @contextmanager
    def beside(self, text: str, log: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run it in another terminal meanwhile, which is closed in the end."""
        path = self.place.folder / log
        with running(self.argv(text), path, self.place.env, self.place.folder) as process:
            yield process


@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_rehearsal_is_typed_as_it_stands() -> None:
    """Each block, in order; `--wait` ends by the consent, and a consent taken back is one
    customer's trouble.
    """
    need("curl")
    sandbox, begin, consent, more, lists, back = _blocks()
    first, add, waiting = begin.partition(ADD)
    with open_bare_place("10") as place:
        typed = Typed(place)
        with typed.beside(f"exec {shlex.join(USHER)} {sandbox.removeprefix('usher ')}", "sandbox.log"):
            wait_until((place.folder / "sandbox.json").exists, 20, "the sandbox's ready file")
            status, told = typed.run(first)
            assert (status, '"ok":true' in told) == (0, True), told
            with typed.beside(f"{add}{waiting}", "add.log") as adding:
                log = place.folder / "add.log"
                wait_until(lambda: "Waiting for the consent" in log.read_text(), 30, "the wait for consent")
                assert '"consented":true' in typed.run(consent)[1]
                assert adding.wait(60) == 0, log.read_text()
            status, told = typed.run(more)
            assert (status, told.count("✗"), told.count("Signing in works")) == (0, 2, 4), told
            status, told = typed.run(lists)
            assert (status, "Nothing was sent" in told, "4 rows on 2 connections, done" in told) == (0, True, True)
            status, told = typed.run(back)
            assert (status, "cronus: Held, 2 rows left" in told, "invited  4" in told) == (3, True, True), told
            [submission] = re.findall(r"^Submission (s-\w+)", told, re.MULTILINE)
            again = consent.replace("contoso", "tenant0003")
            status, told = typed.run(f"{again}\nusher connections check cronus && usher jobs resume {submission}")
            assert (status, "6 rows on 3 connections, done" in told) == (0, True), told
