"""Codecs: a value to bytes and back, by its type. All but the default one are imported at first use."""

from __future__ import annotations

from staleproof.codecs.msgpack import MsgpackCodec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.codecs.codec import Codec, CodecFactory
    from staleproof.codecs.compression import compress, decompress
    from staleproof.codecs.dictionary import ZstdDictionary, train
    from staleproof.codecs.json import JsonCodec
    from staleproof.codecs.signed_pickle import SignedPickleCodec

_HOMES = {
    "Codec": "codec",
    "CodecFactory": "codec",
    "JsonCodec": "json",
    "SignedPickleCodec": "signed_pickle",
    "ZstdDictionary": "dictionary",
    "compress": "compression",
    "decompress": "compression",
    "train": "dictionary",
}

__all__ = [
    "Codec",
    "CodecFactory",
    "JsonCodec",
    "MsgpackCodec",
    "SignedPickleCodec",
    "ZstdDictionary",
    "compress",
    "decompress",
    "train",
]


def __getattr__(name: str) -> object:
    """Import the module that *name* lives in, once (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - at first use

    value: object = getattr(import_module(f"staleproof.codecs.{home}"), name)
    globals()[name] = value
    return value
