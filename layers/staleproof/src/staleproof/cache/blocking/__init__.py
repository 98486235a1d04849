"""The blocking face: one or two lines a method; the steps stand in the plans."""

from staleproof.cache.blocking.operations import BlockingOperations

__all__ = ["BlockingOperations"]
