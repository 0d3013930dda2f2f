"""The funnel as a picture, SVG or PNG: bars of guests by state. matplotlib is loaded when a picture
is drawn, and not before.

Colours are those of Okabe and Ito, which people who see colours otherwise tell apart, too
(https://jfly.uni-koeln.de/color/); a picture says in numbers what its bars show.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from tasks.errors import OutputError
from tasks.guests.funnel import By, Funnel, describe_counts
from tasks.results.files import check_writable, save_whole

FORMS = {".svg": "svg", ".png": "png"}
MOST_WEEKS = 104
MOST_NAMES = 20
"""More weeks, domains or jobs are drawn as one part: others."""
_STATES = ("accepted", "pending", "unknown")
_COLOURS = {"accepted": "#009E73", "pending": "#E69F00", "unknown": "#999999", "disabled": "#56B4E9"}
_GREY = "#555555"
_TITLES = {By.WEEK: " by week", By.DOMAIN: " by domain", By.JOB: " by the job that invited them"}
_NAMELESS = {By.DOMAIN: "no address", By.JOB: "not by usher"}


def check_picture(path: Path) -> str:
    """Return the form of a picture by its file's name. Raises `OutputError` where it is another
    one, cannot be written, or nothing is there to draw with.
    """
    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise OutputError(f"{path} is neither an SVG nor a PNG: a picture's file ends in .svg or .png.")
    if importlib.util.find_spec("matplotlib") is None:
        raise OutputError(
            "A picture is drawn by matplotlib, which is not installed here: install usher with its extra 'plot'."
        )
    check_writable(path)
    return form


def draw_funnel(funnel: Funnel, tenant: str, on: str, path: Path) -> None:
    """Draw a funnel into a file for its owner alone. `on`: the day. Raises `OutputError`."""
    form = check_picture(path)
    picture = _draw(funnel, f"Guests of {tenant}", on, form)
    save_whole(path, lambda stream: stream.write(picture))


def _draw(funnel: Funnel, title: str, on: str, form: str) -> bytes:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a home that it cannot write to is nobody's trouble
    import matplotlib as mpl

    mpl.use("agg")
    # text stays text; nobody's clock and no chance in the file: the same funnel is the same picture
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "usher", "font.family": "DejaVu Sans"}):
        from matplotlib.figure import Figure

        total = describe_counts(funnel.total)
        rows = [] if funnel.by is By.ALL else list(funnel.rows(MOST_WEEKS if funnel.by is By.WEEK else MOST_NAMES))
        if funnel.by is By.WEEK:
            weeks = [row for row in rows if row["week"] not in ("", "others")]
            left_out = total["guests"] - sum(row["guests"] for row in weeks)
            figure = _draw_weeks(Figure, weeks, left_out) if weeks else _draw_all(Figure, total)
        else:
            figure = _draw_names(Figure, rows, funnel.by) if rows else _draw_all(Figure, total)
        figure.suptitle(
            f"{title}{_TITLES.get(funnel.by, '')}, {on}",
            x=0.01,
            y=0.985,
            ha="left",
            va="top",
            fontsize=13,
            fontweight="bold",
        )
        figure.text(
            0.01, 1 - 0.42 / figure.get_figheight(), _sum_up(total), ha="left", va="top", fontsize=9, color=_GREY
        )
        kept = BytesIO()
        figure.savefig(kept, format=form, dpi=150, metadata={"Date": None} if form == "svg" else {"Software": None})
    return kept.getvalue()


def _draw_all(figure_class: Any, counts: Mapping[str, Any]) -> Any:
    """One bar a count, the widest above."""
    names = ("guests", "accepted", "pending", "unknown", "disabled")
    figure = figure_class(figsize=(8, 3.4), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1, 0.8))
    axes = figure.subplots()
    values = [counts[name] for name in names]
    bars = axes.barh(range(len(names)), values, color=["#0072B2", *(_COLOURS[name] for name in names[1:])])
    whole = counts["guests"] or 1
    axes.bar_label(bars, [f"{value:,}  ({value / whole:.0%})" for value in values], padding=4, fontsize=9)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1, counts["guests"]) * 1.18)
    axes.xaxis.set_visible(False)
    _tidy(axes, "left")
    return figure


def _draw_weeks(figure_class: Any, rows: Sequence[Mapping[str, Any]], left_out: int) -> Any:
    """Guests above, the share that has accepted below, week by week; a week without guests is a
    gap. `left_out`: how many belong to none of these weeks.
    """
    from matplotlib.ticker import MaxNLocator

    figure = figure_class(figsize=(9, 5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1, 0.88))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    weeks = [date.fromisoformat(row["week"]) for row in rows]
    places = [(week - weeks[0]).days // 7 for week in weeks]
    bottom = [0] * len(rows)
    for state in _STATES:
        values = [row[state] for row in rows]
        if any(values):
            above.bar(places, values, bottom=bottom, color=_COLOURS[state], label=state, width=0.85)
        bottom = [so_far + value for so_far, value in zip(bottom, values, strict=True)]
    above.set_ylabel("guests")
    above.yaxis.set_major_locator(MaxNLocator(integer=True))
    above.yaxis.set_major_formatter("{x:,.0f}")
    _legend(above)
    told = [(place, row["accepted_percent"]) for place, row in zip(places, rows, strict=True)]
    told = [(place, share) for place, share in told if share is not None]
    if told:
        below.plot(*zip(*told, strict=True), color=_COLOURS["accepted"], marker=".", linewidth=1.5)
    below.set_ylim(0, 105)
    below.set_ylabel("accepted, %")
    below.set_yticks((0, 50, 100))
    ticks = range(0, places[-1] + 1, max(1, -(-(places[-1] + 1) // 12)))
    names = [(weeks[0] + timedelta(weeks=place)).isoformat() for place in ticks]
    below.set_xticks(ticks, names, rotation=30, ha="right")
    rest = f" ({left_out:,} came earlier or on no known day)" if left_out else ""
    below.set_xlabel(f"week in which they came, beginning on{rest}")
    for axes in (above, below):
        _tidy(axes, "left", "bottom")
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    return figure


def _draw_names(figure_class: Any, rows: Sequence[Mapping[str, Any]], by: By) -> Any:
    """One bar a domain or job, of three states, the largest above."""
    figure = figure_class(figsize=(8, 1.7 + 0.32 * len(rows)), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - 0.68 / figure.get_figheight()))
    axes = figure.subplots()
    places = range(len(rows))
    left = [0] * len(rows)
    for state in _STATES:
        values = [row[state] for row in rows]
        if any(values):
            axes.barh(places, values, left=left, color=_COLOURS[state], label=state, height=0.75)
        left = [so_far + value for so_far, value in zip(left, values, strict=True)]
    for place, row in enumerate(rows):
        share = "" if row["accepted_percent"] is None else f"  ({row['accepted_percent']:.0f} % accepted)"
        axes.annotate(
            f"{row['guests']:,}{share}",
            (row["guests"], place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(places, [_label(row[by.value], by) for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, max(row["guests"] for row in rows) * 1.28)
    axes.xaxis.set_visible(False)
    _legend(axes)
    _tidy(axes, "left")
    return figure


def _label(name: str, by: By) -> str:
    """Return how a part is called beside its bar: a long name is cut in the middle of nothing that
    matters, its end.
    """
    name = name or _NAMELESS[by]
    return name if len(name) <= 32 else f"{name[:31]}…"


def _legend(axes: Any) -> None:
    """Above the bars, where none can be under it."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=9)


def _tidy(axes: Any, *kept: str) -> None:
    for name, spine in axes.spines.items():
        spine.set_visible(name in kept)
        spine.set_color("#bbbbbb")
    axes.tick_params(color="#bbbbbb", length=3)


def _sum_up(counts: Mapping[str, Any]) -> str:
    """Return the numbers of a funnel as one line."""
    share = "" if counts["accepted_percent"] is None else f" ({counts['accepted_percent']:g} % have accepted)"
    unknown = f", {counts['unknown']:,} unknown" if counts["unknown"] else ""
    states = f"{counts['accepted']:,} accepted, {counts['pending']:,} pending{share}{unknown}"
    return f"{counts['guests']:,} guests: {states}"
