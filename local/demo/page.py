"""`demo.html`: the outcome as one file that needs nothing else."""

from __future__ import annotations

import json
import re
from collections import Counter
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.demo import charts
from local.demo.outcome import BUCKET_SECONDS, shortcomings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.demo.outcome import Outcome
    from local.demo.story import Step, Story

TEMPLATE = Path(__file__).with_name("page.html")
_SLOT = re.compile(r"\{\{(\w+)\}\}")


def render(outcome: Outcome, story: Story | None) -> str:
    """Return the page."""
    report = outcome.report()
    slots = {
        **_headline(report),
        "tiles": _tiles(report),
        "bound": charts.number(report["l1_bound_ms"]),
        "histogram": charts.histogram(
            {region: [lag / 1e6 for lag in judge.lag_ns.values()] for region, judge in outcome.judges.items()}
        ),
        "lag_table": _lag_table(report),
        "over_time": _over_time(outcome),
        "story_title": escape(story.title) if story else "none",
        "story_id": escape(story.flight_id) if story else "",
        "story": "".join(_step(step) for step in story.steps) if story else "",
        "dataset": escape(report["dataset"]),
        "json": escape(json.dumps(report, indent=2)),
    }
    return _SLOT.sub(lambda slot: slots[slot.group(1)], TEMPLATE.read_text())


def _headline(report: Mapping[str, Any]) -> dict[str, str]:
    faults = shortcomings(report)
    stale = report["stale_reads_after_ack"]
    regions = " and ".join(report["regions"])
    return {
        "verdict_class": "bad" if faults else "good",
        "verdict": escape("; ".join(faults) or "every read judged, nothing lost, nothing stale"),
        "headline": f"{stale or 'No'} stale reads in {report['reads']:,}, through {report['changes']:,} changes",
        "lead": escape(
            "Three days of New York departures around the blizzard of February 2013, replayed in "
            f"{report['replay_s']:g} seconds into a table in {report['regions'][0]}, "
            f"and read in {regions} by {report['processes']} processes."
        ),
    }


def _tiles(report: Mapping[str, Any]) -> str:
    def judged(value: int) -> str:
        return "bad" if value else "good"

    tiles = [
        (
            f"{report['stale_reads_after_ack']:,}",
            "stale reads after ack",
            judged(report["stale_reads_after_ack"]),
        ),
        (f"{report['lost_changes']:,}", "lost changes", judged(report["lost_changes"])),
        (f"{report['diverged_keys']:,}", "diverged keys at the end", judged(report["diverged_keys"])),
        (f"{report['never_fresh']:,}", "changes never read", judged(report["never_fresh"])),
        (f"{report['failed_reads']:,}", "failed reads", judged(report["failed_reads"])),
        (f"{report['hit_ratio']:.1%}", "hit ratio of passengers", ""),
        (f"{report['l1_max_staleness_ms']:g} ms", f"oldest copy (bound {report['l1_bound_ms']:g} ms)", ""),
        (f"{report['replication_lag_ms']['p50']:g} ms", "between the regions (p50)", ""),
    ]
    return "".join(
        f'<div class="tile {style}"><b>{value}</b><span>{escape(label)}</span></div>'
        for value, label, style in tiles
    )


def _lag_table(report: Mapping[str, Any]) -> str:
    rows = [
        (f'<span class="dot" style="background:var(--r{place})"></span>{escape(region)}', lag)
        for place, (region, lag) in enumerate(report["invalidation_lag_ms"].items())
    ]
    rows.append(("acknowledged in the second region after the first", report["replication_lag_ms"]))
    body = "".join(
        f"<tr><td>{name}</td>"
        + "".join(f"<td>{lag[share]:,.1f}</td>" for share in ("p50", "p99", "max"))
        + "</tr>"
        for name, lag in rows
    )
    return f"<table><tr><th>milliseconds</th><th>p50</th><th>p99</th><th>max</th></tr>{body}</table>"


def _over_time(outcome: Outcome) -> str:
    timetable = outcome.history.timetable
    steps = range(int(timetable.seconds / BUCKET_SECONDS) + 1)
    written = Counter(int(change.at / BUCKET_SECONDS) for change in timetable.changes)
    ratio = [outcome.hits[n] / outcome.traffic[n] if outcome.traffic[n] else None for n in steps]
    clocks = [
        (second, f"{timetable.clock(second):%a %H:%M}")
        for second in (timetable.seconds * part / 8 for part in range(1, 8))
    ]
    return charts.over_time(ratio, [written[n] for n in steps], BUCKET_SECONDS, clocks)


def _step(step: Step) -> str:
    chips = " ".join(f"<code>{escape(tag)}</code>" for tag in step.tags)
    cause = f"{escape(step.source)} {escape(step.operation)}"
    rules = " ".join(f"<code>{escape(rule)}</code>" for rule in step.rules) or "<code>none</code>"
    return (
        f'<div class="step"><h3><time>{step.clock:%a %d %b, %H:%M}</time>{escape(step.words)}</h3>'
        f'<div class="chain">change <code>{cause} → version {step.version}</code>'
        f' → rule {rules} → tags {chips}</div><div class="scroll">{_lanes(step)}</div></div>'
    )


def _lanes(step: Step) -> str:
    written = charts.Mark(step.written, "tick", f"written after {step.written:.1f} ms")
    lines = [charts.Lane("table", "tone", [written])]
    for place, passage in enumerate(step.passages):
        marks = [
            charts.Mark(
                passage.acknowledged,
                "ring",
                f"{passage.region}: acknowledged after {passage.acknowledged:.1f} ms",
            ),
            charts.Mark(
                passage.fresh, "disc", f"{passage.region}: first fresh read after {passage.fresh:.1f} ms"
            ),
        ]
        lines.append(charts.Lane(passage.region, f"r{place}", sorted(marks)))
    top = max(mark.at for lane in lines for mark in lane.marks) * 1.04
    return charts.lanes(lines, top)
