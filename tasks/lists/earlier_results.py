"""A list may hold what usher wrote beside it in an earlier run: outcomes, or what a dry run
foresaw, and of each stage two columns more.

They are known by standing side by side in their order. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from tasks.rows.fields import (
    CONNECTION,
    CONNECTIONS,
    ERROR_OF,
    FORESEEN_COLUMNS,
    NOT_KEPT,
    RESULT_COLUMNS,
    STATUS_OF,
    WHY_OF,
    WOULD_OF,
    stage_of,
)

JOINED_COLUMNS: Final = RESULT_COLUMNS[RESULT_COLUMNS.index("status") :]
"""What a results file has at its right, and `--join` beside a list, before the stages."""


class _Family(NamedTuple):
    columns: Sequence[str]
    stage: tuple[str, str]  # the endings of a stage's two columns


_OUTCOMES: Final = _Family(JOINED_COLUMNS, (STATUS_OF, ERROR_OF))
_FORESEEN: Final = _Family(FORESEEN_COLUMNS, (WOULD_OF, WHY_OF))


def find_outcomes(headings: Sequence[str]) -> range:
    """Return where the outcomes of an earlier run stand; an empty range where there are none."""
    return _find(_lowered(headings), _OUTCOMES)


def find_foreseen(headings: Sequence[str]) -> range:
    """Return where stands what an earlier dry run foresaw; an empty range where it does nowhere."""
    return _find(_lowered(headings), _FORESEEN)


def find_like(headings: Sequence[str], columns: Sequence[str]) -> range:
    """Return where columns like `columns` stand from an earlier run, to be replaced by them."""
    family = _FORESEEN if columns[0] == FORESEEN_COLUMNS[0] else _OUTCOMES
    return _find(_lowered(headings), family)


def find_stages(headings: Sequence[str], outcomes: range) -> dict[int, str]:
    """Return the columns that say how a stage ended, each with its name as a field."""
    lowered = _lowered(headings)
    return {index: lowered[index] for index in outcomes if stage_of(lowered[index])}


def find_not_kept(headings: Sequence[str], outcomes: range) -> dict[int, str]:
    """Return the column that tells of rows whose cells are not kept, where the file is results
    alone; beside a list stand the list's own cells.
    """
    before = len(RESULT_COLUMNS) - len(JOINED_COLUMNS)
    own = _lowered(headings)[: outcomes.start]
    if own[:1] == [CONNECTION]:  # the results of a submission
        del own[0]
    if not outcomes or own != [*RESULT_COLUMNS[:before]]:
        return {}
    return {outcomes.start + JOINED_COLUMNS.index(NOT_KEPT): NOT_KEPT}


def is_results_alone(found: Mapping[str, Any]) -> bool:
    """Tell whether an object is a line of our results, not of a list with outcomes beside it."""
    return found.keys() >= {*RESULT_COLUMNS}


def find_stage_keys(found: Mapping[str, Any]) -> frozenset[str]:
    """Return an object's keys that are stages' columns, where it is a line of our results."""
    if not found.keys() >= {*JOINED_COLUMNS}:
        return frozenset()
    stages = {stage for key in found if (stage := stage_of(key)) and stage + ERROR_OF in found}
    return frozenset(stage + ending for stage in stages for ending in (STATUS_OF, ERROR_OF))


def _find(headings: Sequence[str], family: _Family) -> range:
    """Return the last place where a family's columns stand side by side, with the stages' behind
    them, and the connections.
    """
    columns, (first, second) = family
    size = len(columns)
    for start in range(len(headings) - size, -1, -1):
        if headings[start] == columns[0] and [*headings[start : start + size]] == [*columns]:
            break
    else:
        return range(0)
    stop = start + size
    while stop + 1 < len(headings):
        stage = headings[stop].removesuffix(first)
        if not stage or headings[stop] != stage + first or headings[stop + 1] != stage + second:
            break
        stop += 2
    if [*headings[stop : stop + 1]] == [CONNECTIONS]:
        stop += 1
    return range(start, stop)


def _lowered(headings: Sequence[str]) -> list[str]:
    return [" ".join(heading.split()).lower() for heading in headings]
