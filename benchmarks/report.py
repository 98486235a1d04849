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
    "tagged_hit": "tagged hit",
    "near_hit": "hit in the process",
    "invalidate_1000": "forget 1,000",
    "invalidate_100000": "forget 100,000",
    "invalidate_1000000": "forget 1,000,000",
}
MICROSECONDS_A_MILLISECOND = 1_000


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
    made.add_column("row", no_wrap=True)
    made.add_column("ours ÷ reference", overflow="fold")
    for heading in ("ours", "reference", "ratio", "goal"):
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("")
    for result in results:
        row, figures = result.row, result.figures
        style = "green" if result.met else "bold red"
        sign = "≤" if row.better == "lower" else "≥"
        made.add_row(
            row.name,
            f"{row.ours} ÷ {row.reference}",
            amount(figures.ours, row.unit),
            amount(figures.reference, row.unit),
            f"[{style}]{figures.ratio:.2f}[/]",
            f"{sign} {row.goal:g}",
            figures.note,
        )
    return made


def peer_table(ours: Mapping[str, Any], peers: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return ours and the peers side by side, in units that each process measured for itself."""
    made = Table(
        title="Beside other caches: times as long as a raw GET (hit), `lru_cache` (in the process), a raw SET (forget)",
        title_justify="left",
        caption="~ extrapolated from 100,000",
        caption_justify="left",
    )
    made.add_column("cache", no_wrap=True)
    for heading in PEER_COLUMNS.values():
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("a tag is forgotten by")
    made.add_row("staleproof", *(_ratio(ours, figure) for figure in PEER_COLUMNS), "invalidate(tag)")
    for name, figures in peers.items():
        if "error" in figures:
            made.add_row(name, *("-" for _ in PEER_COLUMNS), f"[red]{figures['error']}[/]")
        else:
            label = f"{name} {figures['version']}"
            made.add_row(label, *(_ratio(figures, each) for each in PEER_COLUMNS), figures["how"])
    return made


def _ratio(figures: Mapping[str, Any], name: str) -> str:
    if figures.get(name):
        return f"{figures[name]['ratio']:,.3g}" if figures[name]["ratio"] < 100 else f"{figures[name]['ratio']:,.0f}"
    if name == "invalidate_1000000" and figures.get("invalidate_100000"):
        return f"~{10 * figures['invalidate_100000']['ratio']:,.0f}"
    return "-"


def amount(value: float, unit: str) -> str:
    """Return *value* with its unit, microseconds as milliseconds where they are many."""
    if unit == "µs" and value >= MICROSECONDS_A_MILLISECOND:
        return f"{value / MICROSECONDS_A_MILLISECOND:.1f} ms"
    return f"{value:.3g} {unit}"
