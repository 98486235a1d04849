"""A table of statistics as plain text: a figure a line, with what it is made of beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MICROSECONDS = 1_000_000
_STEP = 1_024
_UNITS = ("B", "KiB", "MiB", "GiB")


def table(figures: Mapping[str, Any]) -> str:
    """Return *figures*, as `Counters.as_dict` has them, as lines."""
    rows = [row for row in (*_reads(figures), *_values(figures), *_parts(figures)) if _tells(row)]
    return "\n".join([f"cache {figures['namespace']!r}", *(f"{_row(*row)}".rstrip() for row in rows)])


def _tells(row: tuple[str, ...]) -> bool:
    """Say whether a line tells anything; the first always does."""
    name, figure, *notes = row
    return name == "reads" or figure not in {"", "0", "0 B"} or (not figure and any(notes))


def _row(name: str, figure: str, notes: str = "") -> str:
    return f"  {name:<22}{figure:>12}  {notes}"


def _reads(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    misses, fallbacks = figures["misses"], figures["fallbacks"]
    notes = {"served stale": figures["stale"], "waited for another's": figures["waits"]}
    return [
        ("reads", _count(figures["reads"]), f"hit ratio {figures['hit_ratio']:.1%}"),
        ("  near hits", _count(figures["near_hits"])),
        ("  hits", _count(figures["hits"]), f"saved {_seconds(figures['saved_us'])} of loading"),
        ("  misses", _count(sum(misses.values())), _listed(misses)),
        ("  of them", "", _listed({**notes, "timed out": figures["timeouts"]})),
        ("served stale", _count(figures["stale"]), _listed(figures["stale_served"])),
        ("server away", _count(sum(fallbacks.values())), _listed(fallbacks)),
    ]


def _values(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    unstored = figures["unstored"]
    notes = {
        "failed": figures["load_failures"],
        "refreshes": figures["refreshes"],
        "dropped": figures["refreshes_dropped"],
    }
    spent = f"in {_seconds(figures['load_us'])}"
    return [
        ("loads", _count(figures["loads"]), ", ".join(filter(None, [spent, _listed(notes)]))),
        ("puts", _count(figures["puts"])),
        ("stored", _count(figures["stored"])),
        ("unstored", _count(sum(unstored.values())), _listed(unstored)),
        ("invalidations", _count(figures["invalidations"])),
        ("read", _bytes(figures["bytes_read"])),
        ("written", _bytes(figures["bytes_written"])),
    ]


def _parts(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    near = figures.get("near")
    if near is not None:
        held = {name: near[name] for name in ("evicted", "invalidated", "fenced", "refused") if name in near}
        rows.append(
            ("near copies", _count(near["copies"]), f"{_bytes(near['bytes'])}; {_listed(held) or '-'}")
        )
    if "provider" in figures:
        counted = {name: each for name, each in figures["provider"].items() if isinstance(each, int)}
        rows.append(("provider", "", _listed(counted)))
    for name in ("breaker", "reader_breaker"):
        if name in figures:
            breaker = figures[name]
            told = f"{name.replace('_', ' ')} opened"
            rows.append((told, _count(breaker["opened"]), "open now" if breaker["open"] else ""))
    return rows


def _listed(figures: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {_count(figure)}" for name, figure in figures.items() if figure)


def _count(figure: int) -> str:
    return f"{figure:,}"


def _seconds(microseconds: int) -> str:
    return f"{microseconds / _MICROSECONDS:,.3f} s"


def _bytes(figure: float) -> str:
    for unit in _UNITS[:-1]:
        if figure < _STEP:
            return f"{figure:,.0f} {unit}" if unit == "B" else f"{figure:,.1f} {unit}"
        figure /= _STEP
    return f"{figure:,.1f} {_UNITS[-1]}"
