"""Findings for people, as a table, and for machines, as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from staleproof.cli.doctor_finding import Severity, worst
from staleproof.cli.screen import console

if TYPE_CHECKING:
    from staleproof.cli.doctor_finding import Finding

STYLES = {Severity.OK: "green", Severity.INFO: "blue", Severity.WARNING: "yellow", Severity.ERROR: "bold red"}


def table(where: str, findings: list[Finding]) -> None:
    """Print *findings*, the worst first."""
    printed = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("severity", "check", "found", "what it means", "what to do"):
        printed.add_column(heading, overflow="fold")
    for each in sorted(findings, key=lambda each: -each.severity):
        word = Text(each.severity.word, style=STYLES[each.severity])
        printed.add_row(word, *map(Text, (each.check, each.found, each.means, each.fix)))
    console().print(printed)
    counts = [sum(each.severity is severity for each in findings) for severity in reversed(Severity)]
    console().print(
        Text(f"{where}: {counts[0]} errors, {counts[1]} warnings, {counts[2]} notes, {counts[3]} fine")
    )


def as_json(where: str, findings: list[Finding], measured: dict[str, Any]) -> str:
    """Return *findings* and what was measured as one JSON object."""
    told = [{**each._asdict(), "severity": each.severity.word} for each in findings]
    whole = {"cache": where, "worst": worst(findings).word, "findings": told, "measured": measured}
    return json.dumps(whole, indent=2, default=str)
