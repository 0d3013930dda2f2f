"""When too much of a list is wrong, nothing of it goes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.errors import Refusal
from tasks.forecast.targets import StageAhead
from tasks.rows.row import BadRow
from tasks.submission.request import Request
from tasks.submit import Loaded
from tasks.telling.words import many, number

SHOWN_BAD = 20
"""Bad rows that are shown one by one."""
MOST_BAD_SHARE = 0.05
"""More bad rows than this stop a list: so many typing errors nobody makes, the column or the
separator is wrong. Not where they are few enough to be shown one by one (`SHOWN_BAD`): in a small
list two errors are 10 %, and whoever reads them knows what they are.
"""


class RefusedRows(Refusal):
    """Nothing of a list is sent because of some of its rows; `bad`: those that are kept."""

    def __init__(self, sentence: str, bad: Sequence[BadRow] = ()) -> None:
        super().__init__(sentence)
        self.bad = bad


class MisreadList(RefusedRows):
    """So much of a list is wrong that it was probably read in a wrong way."""


def refuse_bad(request: Request, loaded: Loaded) -> None:
    """Raise `Refusal` where what is wrong with a list means that nothing of it is sent."""
    if not loaded.rows:
        raise RefusedRows(f"{request.name} holds no rows; nothing was sent.")
    if request.strict and loaded.bad_count:
        raise RefusedRows(
            f"{many(loaded.bad_count, 'row')} cannot be sent, and --strict was given; nothing was sent.", loaded.bad
        )
    if request.strict and request.guests is not None and not request.guests.is_whole:
        raise RefusedRows("Cells of the list cannot be used (above), and --strict was given; nothing was sent.")
    if not loaded.to_send:
        raise MisreadList(_nothing_good(loaded), loaded.bad)
    if _too_many_bad(request, loaded):
        share = f"{100 * loaded.bad_count / loaded.rows:.0f} %"
        raise MisreadList(
            f"{number(loaded.bad_count)} of {many(loaded.rows, 'row')} cannot be sent, {share}. More than"
            f" {100 * MOST_BAD_SHARE:.0f} % is nearly always a wrong column or separator (--map and --delimiter say"
            " which), so nothing was sent; --accept-bad sends the good rows all the same.",
            loaded.bad,
        )


def refuse_stages(request: Request, stages: Sequence[StageAhead]) -> None:
    """Raise `Refusal` for what was named for all rows and nobody can be put into; with --strict for
    what a row names, too.
    """
    wrong = [
        f"--{stage.name.removesuffix('s')}: {target.refused}"
        for stage in stages
        for target, _ in stage.refused
        if target.name in request.named.get(stage.name, ())
    ]
    if wrong:
        raise RefusedRows(f"{' '.join(wrong)} Nothing was sent.")
    refused = [target.refused for stage in stages for target, _ in stage.refused]
    if request.strict and refused:
        more = f" And {number(len(refused) - 1)} more." if len(refused) > 1 else ""
        raise RefusedRows(f"{refused[0]}{more} --strict was given, so nothing was sent.")


def _too_many_bad(request: Request, loaded: Loaded) -> bool:
    # In results that are fed back the columns are right, and the bad rows are those that were bad
    # before.
    if request.accept_bad or (request.guests is not None and request.guests.is_result):
        return False
    return loaded.bad_count > SHOWN_BAD and loaded.bad_count > MOST_BAD_SHARE * loaded.rows


def _nothing_good(loaded: Loaded) -> str:
    parts = []
    if loaded.bad_count:
        parts.append(f"{number(loaded.bad_count)} invalid")
    if loaded.blocked:
        parts.append(f"{number(loaded.blocked)} of domains that the connection does not allow")
    if loaded.duplicates:
        parts.append(f"{number(loaded.duplicates)} repeated")
    return f"None of {many(loaded.rows, 'row')} can be sent ({', '.join(parts)}); nothing was sent."
