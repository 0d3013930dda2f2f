"""The plan tells of the stages after the invitation: how many guests, into what, and what is in the
way. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.forecast.rows import StageWould
from tasks.forecast.targets import StageAhead
from tasks.telling.words import many, number

_SHOWN = 60
"""Groups, teams and sponsors that are named one by one; a list has some forty."""
_SHOWN_REFUSED = 20
_WOULD = {
    StageWould.DO: "to write",
    StageWould.ALREADY: "so already",
    StageWould.SKIP: "skipped",
    StageWould.WAIT: "would wait",
    StageWould.REFUSE: "would fail",
}


def stage_lines(stages: Sequence[StageAhead]) -> list[tuple[str, str]]:
    """Return the stages as lines of a plan: (heading, text) pairs."""
    lines = []
    for stage in stages:
        usable = stage.usable
        into = f", {number(len(usable))} {stage.name}" if len(usable) > 1 else ""
        sender = f" from {stage.sender}" if stage.sender else ""
        lines.append((f"Then {stage.name}", f"{many(stage.guests, 'guest')}{into}{sender}{_would_words(stage)}"))
        lines += [("", f"{target.title or target.name}: {many(guests, 'guest')}") for target, guests in usable[:_SHOWN]]
        if len(usable) > _SHOWN:
            lines.append(("", f"and {number(len(usable) - _SHOWN)} more"))
    return lines


def _would_words(stage: StageAhead) -> str:
    told = ", ".join(f"{number(count)} {_WOULD[would]}" for would, count in stage.would.items() if count)
    return f": {told}" if told else ""


def stage_warnings(stages: Sequence[StageAhead]) -> list[str]:
    """Return a sentence for each name of the rows that nobody can be put into, and for each right
    that is missing.
    """
    warnings = []
    for stage in stages:
        refused = stage.refused
        for target, guests in refused[:_SHOWN_REFUSED]:
            ends = "its guest is" if guests == 1 else "their guests are"
            warnings.append(
                f"{stage.name}, {many(guests, 'row')}: {target.refused} {ends[0].upper() + ends[1:]} invited, and the"
                f" stage {stage.name} ends failed for {'it' if guests == 1 else 'them'}."
            )
        if len(refused) > _SHOWN_REFUSED:
            warnings.append(f"{number(len(refused) - _SHOWN_REFUSED)} more {stage.name} cannot be used.")
        warnings += [sentence for sentence in (stage.missing, stage.unread) if sentence]
    return warnings


def describe_stages(stages: Sequence[StageAhead]) -> dict[str, Any]:
    """Return what `--json` tells of them inside a dry run's `plan`."""
    return {
        stage.name: {
            "rows": stage.guests,
            **({"would": {would.value: stage.would[would] for would in StageWould}} if stage.would else {}),
            "names": {target.title or target.name: guests for target, guests in stage.usable},
            "refused": {target.name: target.refused for target, _ in stage.refused},
            "missing": [sentence for sentence in (stage.missing, stage.unread) if sentence],
        }
        for stage in stages
    }
