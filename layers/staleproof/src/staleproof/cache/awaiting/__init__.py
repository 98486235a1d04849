"""The asyncio face: one or two lines a method; the steps stand in the plans."""

from staleproof.cache.awaiting.operations import AwaitingOperations

__all__ = ["AwaitingOperations"]
