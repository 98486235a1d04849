"""The decorators that there are, as `Kind`s."""

from __future__ import annotations

from staleproof.decorators import cacheable, evicting, many, putting
from staleproof.decorators.blueprint import Shape
from staleproof.decorators.recipes import Kind

CACHEABLE = Kind(Shape, cacheable.blocking, cacheable.awaiting)
MANY = Kind(many.ManyShape, many.blocking, many.awaiting)
PUT = Kind(putting.Putting, putting.blocking, putting.awaiting, ())
EVICTS = Kind(evicting.Evicting, evicting.blocking, evicting.awaiting, ())
