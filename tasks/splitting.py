"""One file per partner: results divided by the domain of the address, so that each can be handed on without the others.

Rows are sorted into files of their own first, a few at a time, so that neither a million rows nor ten thousand domains are held open.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from worker.addresses import fold_address

NO_DOMAIN: Final = "no-domain"
"""The file of the rows whose address has none; a domain has a dot, so no domain's file is called so."""

_ROWS_A_TIME: Final = 2_000
_LONGEST: Final = 120  # characters of a file's name without its ending; file systems take 255 bytes
_UNSAFE: Final = re.compile(r"[^a-z0-9.\-]")
_RESERVED: Final = re.compile(
    r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|\Z)"
)  # device names on Windows, whatever follows the dot


def domain_of(email: str) -> str:
    """Return an address's domain, folded: "" for none."""
    return fold_address(email.strip()).rpartition("@")[2] if "@" in email else ""


def file_stem(domain: str) -> str:
    """Return a file name for a domain that is safe everywhere, and different for different domains."""
    if not domain:
        return NO_DOMAIN
    safe = _UNSAFE.sub("_", domain).strip(".")
    if safe == domain and len(safe) <= _LONGEST and not _RESERVED.match(safe):
        return safe
    digest = hashlib.sha256(domain.encode("utf-8", "replace")).hexdigest()[:8]
    return f"_{safe[: _LONGEST - 10]}-{digest}"


def split(rows: Iterable[tuple[str, Any]], save: Callable[[str, Iterator[tuple[str, Any]]], int]) -> dict[str, int]:
    """Hand each domain's (address, content) pairs to `save` with the stem of its file; returns the numbers of rows by stem.

    Contents must be what JSON can hold.
    """
    left = iter(rows)
    numbers: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="usher-") as folder:  # 0700
        while block := list(islice(left, _ROWS_A_TIME)):
            groups: dict[str, list[str]] = {}
            for email, content in block:
                groups.setdefault(domain_of(email), []).append(json.dumps([email, content]))
            for domain, lines in groups.items():
                number = numbers.setdefault(domain, len(numbers))
                with (Path(folder) / str(number)).open("a", encoding="utf-8") as file:
                    file.write("\n".join(lines) + "\n")
        return {
            (stem := file_stem(domain)): save(stem, _read(Path(folder) / str(number)))
            for domain, number in numbers.items()
        }


def _read(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            email, content = json.loads(line)
            yield email, content
