"""The report's charts, as inline SVG: no library, no script, legible in light and dark.

Colours come from the page's style sheet by class: `r0` and `r1` are the regions. Every mark carries a `title`, which
browsers show on hover and screen readers read.
"""

from __future__ import annotations

from html import escape
from math import ceil, log10
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

WIDTH = 960
LEFT, RIGHT = 56, 16
PLOT = WIDTH - LEFT - RIGHT


class Mark(NamedTuple):
    """A moment on a lane: milliseconds, the class of its shape, what it is."""

    at: float
    kind: str
    title: str


class Lane(NamedTuple):
    """One line of a timeline."""

    label: str
    style: str
    marks: Sequence[Mark]


def svg(height: float, label: str, parts: Iterable[str]) -> str:
    """Return an SVG element that scales with the page."""
    body = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label)}">{body}</svg>'


def text(x: float, y: float, words: str, style: str = "", anchor: str = "middle") -> str:
    """Return a text element."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """Return a line element."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def bar(x: float, y: float, width: float, height: float, style: str, title: str) -> str:
    """Return a rectangle with a title; *y* is its foot."""
    return (
        f'<rect x="{x:.1f}" y="{y - height:.1f}" width="{max(width, 0.5):.1f}" height="{max(height, 0):.1f}" '
        f'class="{style}" rx="1.5"><title>{escape(title)}</title></rect>'
    )


def nice_ticks(top: float, wanted: int = 5) -> list[float]:
    """Return round numbers from 0 to *top* or just below, about as many as *wanted*."""
    if top <= 0:
        return [0.0]
    raw = top / wanted
    magnitude = 10 ** int(log10(raw)) if raw >= 1 else 10 ** -ceil(-log10(raw))
    step = next((magnitude * each for each in (1, 2, 5, 10) if magnitude * each >= raw), magnitude * 10)
    return [step * number for number in range(int(top / step) + 1)]


def number(value: float) -> str:
    """Return *value* for people: no needless decimals, thousands apart."""
    if value >= 100 or value == int(value):  # noqa: PLR2004 - three digits say enough
        return f"{value:,.0f}"
    return f"{value:.3g}"


def histogram(lags: Mapping[str, Sequence[float]], bins: int = 64) -> str:
    """Return lag histograms in milliseconds, one region over the other on one scale.

    The scale ends where the slowest region's 99.9th percentile is; the last bar holds everything beyond.
    """
    everything = sorted(value for values in lags.values() for value in values)
    if not everything:
        return svg(20, "no lags", [])
    top = everything[min(len(everything) - 1, int(0.999 * len(everything)))] * 1.02
    height, gap = 118, 30
    parts: list[str] = []
    for place, (region, values) in enumerate(lags.items()):
        foot = 24 + (place + 1) * height + place * gap
        parts += _histogram_row(region, values, top / bins, bins, foot, height - 26, f"r{place}")
    foot = 24 + len(lags) * height + (len(lags) - 1) * gap
    parts += _axis(top, foot, "ms")
    return svg(foot + 34, "lag from the write to the first fresh read, by region", parts)


def _histogram_row(
    region: str, values: Sequence[float], width: float, bins: int, foot: float, height: float, style: str
) -> list[str]:
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value / width))] += 1
    highest, step = max(counts) or 1, PLOT / bins
    parts = [
        text(LEFT, foot - height - 14, region, f"label t{style}", "start"),
        line(LEFT, foot, LEFT + PLOT, foot, "axis"),
    ]
    for place, count in enumerate(counts):
        if count:
            beyond = " and beyond" if place == bins - 1 else f" to {number(width * (place + 1))}"
            title = f"{region}: {count:,} changes in {number(width * place)}{beyond} ms"
            parts.append(
                bar(LEFT + place * step + 0.5, foot, step - 1, (height - 8) * count / highest, style, title)
            )
    ordered = sorted(values)
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        value = ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0
        x = LEFT + min(value / width, bins) * step
        parts.append(line(x, foot - height - 6, x, foot, "quantile"))
        parts.append(text(x + 4, foot - height + 2, f"{name} {number(value)} ms", "small strong", "start"))
    return parts


def _axis(top: float, foot: float, unit: str) -> list[str]:
    parts = []
    for tick in nice_ticks(top, 8):
        x = LEFT + PLOT * tick / top
        parts += [line(x, foot, x, foot + 4, "axis"), text(x, foot + 17, f"{number(tick)}", "small")]
    return [*parts, text(LEFT + PLOT, foot + 31, unit, "small", "end")]


def over_time(
    ratio: Sequence[float | None], changes: Sequence[int], seconds: float, clocks: Sequence[tuple[float, str]]
) -> str:
    """Return the hit ratio over the run, above the changes a second.

    Args:
        ratio: by step of time, between 0 and 1; None where nobody read.
        changes: writes in each step.
        seconds: the width of a step.
        clocks: places on the axis, in seconds, and what New York's clock showed.
    """
    width, low = PLOT / max(len(ratio), len(changes), 1), 268
    parts = [*_ratio_row(ratio, width, seconds), *_rate_row(changes, width, seconds, low)]
    for second, words in clocks:
        x = LEFT + second / seconds * width
        parts += [line(x, low, x, low + 4, "axis"), text(x, low + 17, words, "small")]
    return svg(low + 24, "hit ratio and changes over time", parts)


def _ratio_row(ratio: Sequence[float | None], width: float, seconds: float) -> Iterator[str]:
    top, foot = 16, 176
    yield text(LEFT, 10, "hit ratio of passengers' reads", "label", "start")
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = foot - (foot - top) * share
        yield line(LEFT, y, LEFT + PLOT, y, "grid")
        yield text(LEFT - 8, y + 4, f"{share:.0%}", "small", "end")
    known = [(place, value) for place, value in enumerate(ratio) if value is not None]
    points = (
        f"{LEFT + (place + 0.5) * width:.1f},{foot - (foot - top) * value:.1f}" for place, value in known
    )
    yield f'<polyline points="{" ".join(points)}" class="ratio"/>'
    for place, value in known:
        title = f"second {place * seconds:g}: {value:.1%} of reads needed no load"
        yield _hover(LEFT + place * width, top, width, foot - top, title)


def _rate_row(changes: Sequence[int], width: float, seconds: float, foot: float) -> Iterator[str]:
    rates = [count / seconds for count in changes]
    highest = max(rates, default=0) or 1
    yield text(LEFT, foot - 74, "changes a second", "label", "start")
    for place, rate in enumerate(rates):
        title = f"second {place * seconds:g}: {rate:.0f} changes a second"
        yield bar(LEFT + place * width + 0.5, foot, width - 1, 62 * rate / highest, "changes", title)
    yield line(LEFT, foot, LEFT + PLOT, foot, "axis")
    yield text(LEFT - 8, foot - 56, f"{highest:.0f}/s", "small", "end")


def _hover(x: float, y: float, width: float, height: float, title: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="hover">'
        f"<title>{escape(title)}</title></rect>"
    )


def lanes(lines: Sequence[Lane], top: float) -> str:
    """Return a timeline of *top* milliseconds: a lane each for the table and the regions."""
    left, step = 118, 34
    plot = WIDTH - left - RIGHT
    foot = 10 + step * len(lines)
    parts = []
    for tick in nice_ticks(top, 8):
        x = left + plot * tick / top
        parts += [line(x, 4, x, foot, "grid"), text(x, foot + 15, f"{number(tick)} ms", "small")]
    for place, lane in enumerate(lines):
        y = 10 + step * place + step / 2
        parts.append(text(left - 12, y + 4, lane.label, f"label t{lane.style}", "end"))
        if lane.marks:
            end = left + plot * min(1, lane.marks[-1].at / top)
            parts.append(line(left, y, end, y, f"lane s{lane.style}"))
        parts += [_mark(mark, left + plot * min(1, mark.at / top), y, lane.style) for mark in lane.marks]
    return svg(foot + 22, "timeline of one change", parts)


def _mark(mark: Mark, x: float, y: float, style: str) -> str:
    title = f"<title>{escape(mark.title)}</title>"
    if mark.kind == "ring":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" class="ring s{style}">{title}</circle>'
    if mark.kind == "tick":
        return f'<rect x="{x - 2:.1f}" y="{y - 8:.1f}" width="4" height="16" rx="2" class="{style}">{title}</rect>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" class="{style}">{title}</circle>'
