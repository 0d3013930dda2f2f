"""The stages of a job are told in words: how many of its rows are how far in each."""

from __future__ import annotations

from dataclasses import asdict

from config.errors import ConfigError
from tasks.telling.words import OUTCOME_WORDS, many, number
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts, RowState

_OWN = {"done": RowState.DONE, "already": RowState.ALREADY}


def stage_words(name: str, counts: Counts) -> str:
    """Return how a stage's rows stand, in the stage's own words: "398 added, 2 failed"."""
    from worker.operations.registry import find_operation  # all that an operation needs, not only its words

    words = dict(OUTCOME_WORDS)
    try:
        operation = find_operation(name)
    except ConfigError:  # a newer usher's
        pass
    else:
        words |= {count: operation.words.get(letter, words[count]) for count, letter in _OWN.items()}
    told = asdict(counts)
    return ", ".join(f"{number(told[count])} {word}" for count, word in words.items() if told.get(count))


def open_stages(view: JobView) -> list[str]:
    """Return what is left of the stages, and what went wrong; not of those that ended well."""
    bad = {name for name, counts in view.stages.items() if counts.pending or counts.failed or counts.in_doubt}
    return [told for name, told in zip(view.stages, stage_progress(view), strict=True) if name in bad]


def stage_progress(view: JobView) -> list[str]:
    """Return each stage as a few words of a line: "groups 380 of 400 (2 failed)"."""
    told = []
    for name, counts in view.stages.items():
        bad = ", ".join(
            f"{number(count)} {OUTCOME_WORDS[what]}"
            for what, count in (("failed", counts.failed), ("in_doubt", counts.in_doubt))
            if count
        )
        told.append(f"{name} {number(counts.finished)} of {number(counts.rows)}{f' ({bad})' if bad else ''}")
    return told


def left_words(view: JobView) -> str:
    """Return what of a job is left: rows, or stages of rows that have ended."""
    stages = [f"{name} of {many(counts.pending, 'row')}" for name, counts in view.stages.items() if counts.pending]
    if view.counts.pending or not stages:
        return many(view.counts.pending, "row")
    return " and ".join(stages) if len(stages) < 3 else f"{', '.join(stages[:-1])} and {stages[-1]}"
