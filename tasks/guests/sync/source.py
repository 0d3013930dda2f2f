"""A source is what a list is called in the tenant. Pure."""

from __future__ import annotations

import re
from pathlib import PurePath

from config.values import parse_name

_OTHER = re.compile(r"[^a-z0-9]+")


def name_source(path: str) -> str:
    """Return the source of a list by its file's name: `CRM Partners.csv` is crm-partners. Raises
    `ValueError` with half a sentence for one that gives no name.
    """
    named = _OTHER.sub("-", PurePath(path).stem.lower()).strip("-")
    if not named:
        raise ValueError("is needed, for the list has no file name: a name of a-z, 0-9 and -")
    return parse_name(named)
