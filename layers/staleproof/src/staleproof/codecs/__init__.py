"""Codecs: a value to bytes and back, by its type."""

from staleproof.codecs.msgpack import MsgpackCodec

__all__ = ["MsgpackCodec"]
