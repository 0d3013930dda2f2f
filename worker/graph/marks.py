"""A guest whom a list has brought carries the mark of that list in the tenant itself: the name of
its source, in an extension attribute. Pure.

Only guests with a list's own mark are ever taken away by it, whatever usher remembers. A guest who
has left keeps the mark, with a word behind it, so that one who is back in the list is told from one
whom a person has disabled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SOURCE = "source"
"""Set in a row of a sync job: the mark its guest is to carry. Nobody else can bring it."""
EXTENSIONS = "onPremisesExtensionAttributes"
"""Graph's name; of a guest they are the tenant's own."""
_LEFT = " left"
_MARK = re.compile(rf"([a-z0-9-]{{1,64}})({_LEFT})?")


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark is a source's, of a guest who is in its list or has left. `source`: '' of a text that
    no source has written.
    """

    source: str
    left: bool = False

    def __str__(self) -> str:
        return f"{self.source}{_LEFT if self.left else ''}"


def parse_mark(text: object) -> Mark | None:
    """Read what stands in the attribute; None where nothing does."""
    if not isinstance(text, str) or not text.strip():
        return None
    found = _MARK.fullmatch(text.strip())
    return Mark(found[1], bool(found[2])) if found else Mark("")


def read_mark(extensions: object, attribute: str) -> Mark | None:
    """Return the mark of a guest, of whose extension attributes these were read."""
    return parse_mark(extensions.get(attribute)) if isinstance(extensions, Mapping) else None


def may_mark(there: Mark | None, wanted: Mark | None) -> bool:
    """Whether a mark may be written over what stands there: never over another list's, unless its
    guest has left that list, nor over a text of somebody else's. Only a list's own guest leaves it.
    """
    if wanted is None:
        return False
    if there is not None and there.source == wanted.source:
        return True
    return not wanted.left and (there is None or (bool(there.source) and there.left))


def find_mark(row: Mapping[str, Any], extensions: object, attribute: str) -> dict[str, Any]:
    """Return what is to be written of a row's mark, by attribute: nothing where it stands there, or
    may not.
    """
    wanted, there = parse_mark(row.get(SOURCE)), read_mark(extensions, attribute)
    return {attribute: str(wanted)} if wanted != there and may_mark(there, wanted) else {}
