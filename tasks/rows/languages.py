"""These language tags are known: BCP 47 by the IANA registry, as `messageLanguage` wants them.

https://learn.microsoft.com/graph/api/resources/invitedusermessageinfo
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# The outline of a tag. Longer ones exist only in theory, and the library keeps every text it was
# ever asked about.
_TAG_SHAPE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}", re.ASCII)


@lru_cache(maxsize=1024)
def parse_language(text: str) -> str | None:
    """Return the tag with hyphens (`de_AT` is read as `de-AT`), None when it is not known."""
    tag = text.replace("_", "-")
    if not _TAG_SHAPE.fullmatch(tag) or tag.lower() == "und":  # "undetermined" names no language to write in
        return None
    import langcodes  # 30 ms of tables, and most lists bring no language

    return tag if langcodes.tag_is_valid(tag) else None
