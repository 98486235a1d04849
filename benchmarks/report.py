"""The report: two JSON files, and two tables for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from benchmarks.figures import Result

PEER_COLUMNS = {
    "tagged_hit": "hit",
    "near_hit": "near hit",
    "invalidate_1000": "1,000",
    "invalidate_100000": "100,000",
    "invalidate_1000000": "1,000,000",
}
MICROSECONDS_A_MILLISECOND = 1_000
MANY = 100


def as_json(results: Iterable[Result]) -> dict[str, dict[str, Any]]:
    """Return `bench.json`: `{name: {ours, reference, ratio, goal, better}}`, microseconds or bytes."""
    return {result.row.name: result.as_json() for result in results}


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write *content* as JSON, in one step, so that a reader never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(content, indent=2) + "\n")
    draft.replace(path)


def table(results: Iterable[Result]) -> Table:
    """Return our rows as a table."""
    made = Table(title="Ours against a reference measured in the same moments", title_justify="left")
    made.add_column("row", overflow="fold")
    for heading in ("ours", "reference", "ratio", "goal"):
        made.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        row, figures = result.row, result.figures
        style = "green" if result.met else "bold red"
        note = f"\n[dim]{figures.note}[/]" if figures.note else ""
        made.add_row(
            f"{row.name}\n[dim]{row.ours} ÷ {row.reference}[/]{note}",
            amount(figures.ours, row.unit),
            amount(figures.reference, row.unit),
            f"[{style}]{figures.ratio:.2f}[/]",
            f"{'≤' if row.better == 'lower' else '≥'} {row.goal:g}",
        )
    return made


def peer_table(ours: Mapping[str, Any], peers: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return ours and the peers side by side, each in units that were measured in the same process and moments."""
    made = Table(
        title="Beside other caches",
        title_justify="left",
        caption="hit: in raw GETs; near hit: in `lru_cache` hits; 1,000 …: to forget so many entries, in raw SETs; "
        "~ extrapolated from 100,000",
        caption_justify="left",
    )
    made.add_column("cache", overflow="fold")
    for heading in PEER_COLUMNS.values():
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_row("staleproof\n[dim]invalidate(tag)[/]", *(_ratio(ours, figure) for figure in PEER_COLUMNS))
    for name, figures in peers.items():
        if "error" in figures:
            made.add_row(f"{name}\n[red]{figures['error']}[/]")
        else:
            label = f"{name} {figures['version']}\n[dim]{figures['how']}[/]"
            made.add_row(label, *(_ratio(figures, each) for each in PEER_COLUMNS))
    return made


def _ratio(figures: Mapping[str, Any], name: str) -> str:
    if figures.get(name):
        ratio = figures[name]["ratio"]
        return f"{ratio:,.0f}" if ratio >= MANY else f"{ratio:.3g}"
    if name == "invalidate_1000000" and figures.get("invalidate_100000"):
        return f"~{10 * figures['invalidate_100000']['ratio']:,.0f}"
    return "-"


def amount(value: float, unit: str) -> str:
    """Return *value* with its unit, microseconds as milliseconds where they are many."""
    if unit == "µs" and value >= MICROSECONDS_A_MILLISECOND:
        return f"{value / MICROSECONDS_A_MILLISECOND:.1f} ms"
    return f"{value:.3g} {unit}"
