"""Sentences of the command name its options; a program and a page call the same things by their
own names. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_OPTION: Final = re.compile(r"--([a-z]+(?:-[a-z]+)*)")


def rename_options(sentence: str, name_of: Callable[[str], str]) -> str:
    """Return a sentence with `name_of` each option in its place: of `header-line`, for one."""
    return _OPTION.sub(lambda found: name_of(found[1]), sentence)
