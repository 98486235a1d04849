"""A row's figures, and its goal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measurement import Comparison
    from benchmarks.stand import Stand


class Figures(NamedTuple):
    """What a row found.

    Attributes:
        ours: microseconds an operation, or bytes.
        reference: the same for what it is compared with.
        ratio: ours ÷ reference, taken where noise cancels: see `benchmarks.measurement`.
        note: a remark for the table.
    """

    ours: float
    reference: float
    ratio: float
    note: str = ""

    @classmethod
    def of(cls, measured: Comparison, note: str = "") -> Figures:
        """Return the figures of a comparison in time."""
        return cls(measured.ours, measured.reference, measured.ratio, note)


class Row(NamedTuple):
    """One thing that is measured, and how good it has to be.

    Attributes:
        name: its key in `bench.json`.
        ours: what is measured, in a few words.
        reference: what it is divided by.
        unit: `µs` or `bytes`.
        goal: the ratio that is good enough.
        measure: measures it, for about so many seconds.
        seconds: how long, at the usual pace.
        better: which way is better.
    """

    name: str
    ours: str
    reference: str
    unit: Literal["µs", "bytes"]
    goal: float
    measure: Callable[[Stand, float], Figures]
    seconds: float = 4.0
    better: Literal["lower", "higher"] = "lower"


class Result(NamedTuple):
    """A row with its figures."""

    row: Row
    figures: Figures

    @property
    def met(self) -> bool:
        """Whether the goal is met, by the figure that is written down."""
        if self.row.better == "lower":
            return self.figures.ratio <= self.row.goal
        return self.figures.ratio >= self.row.goal

    def as_json(self) -> dict[str, Any]:
        """Return the row as it stands in `bench.json`."""
        return {
            "ours": round(self.figures.ours, 3),
            "reference": round(self.figures.reference, 3),
            "ratio": round(self.figures.ratio, 3),
            "goal": self.row.goal,
            "better": self.row.better,
        }
