"""Every command that the memory provider knows, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.providers.memory_structures import geo, hashes, hyperloglog, lists, logs, ranks, sets, texts

if TYPE_CHECKING:
    from staleproof.providers.memory_structures.kinds import Command

COMMANDS: dict[str, Command] = {
    **texts.COMMANDS,
    **hyperloglog.COMMANDS,
    **lists.COMMANDS,
    **hashes.COMMANDS,
    **sets.COMMANDS,
    **ranks.COMMANDS,
    **logs.COMMANDS,
    **geo.COMMANDS,
}
