"""A cursor says where a list of jobs goes on. A producer's is sealed: it may stand at a job that is
another's, and names nothing of it.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from console.v1.consent import refuse_field
from worker.errors import SealError

if TYPE_CHECKING:
    from console.access.viewer import Viewer
    from worker.services import Services

Cursor = tuple[int, str]
PATTERN: Final = r"^([0-9]{1,15}-[a-z2-7]{1,16}|[A-Za-z0-9_-]{60,120})$"


def write_cursor(services: Services, viewer: Viewer, at: Cursor) -> str:
    """Return a cursor as whoever asks is given it."""
    plain = f"{at[0]}-{at[1]}"
    sealer = services.sealer() if viewer.bound else None
    if sealer is None:
        return plain
    return base64.urlsafe_b64encode(sealer.seal(plain.encode(), _context(viewer))).decode().rstrip("=")


def read_cursor(services: Services, viewer: Viewer, given: str | None) -> Cursor | None:
    """Return where a list goes on. Raises `Problem` for a cursor that somebody else was given."""
    if given is None:
        return None
    sealer = services.sealer() if viewer.bound else None
    try:
        if sealer is not None:
            raw = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
            given = sealer.open(raw, _context(viewer)).decode()
        at, _, job = given.partition("-")
        return int(at), job
    except (SealError, ValueError):
        refuse_field("cursor", "It is not one that you were given as `next`.")


def _context(viewer: Viewer) -> bytes:
    return f"cursor of the producer {viewer.producer}".encode()
