"""Compression of payloads, and its bits in an entry's codec byte.

A compressed payload is::

    lz4    crc32 of the value (u32, little-endian), its size (u32, little-endian), one LZ4 block
    zstd   one Zstandard frame with its checksum and, where one was used, the id of the dictionary

Both are checked as they are unpacked: a payload that was cut or changed is a `CodecError`, hence a miss. So is one that
claims to be larger than a bound; a hundred bytes can name gigabytes. A writer without the library leaves values as
they are; a reader without it cannot read what others compressed, and counts misses.

LZ4 is the default because readers hardly notice it; Zstandard packs a third tighter for three times the time, or much
tighter still where a dictionary of typical values makes up for what a small value lacks. Measured in decision 16.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

from staleproof.errors import CodecError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.codecs.dictionary import ZstdDictionary

Algorithm = Literal["lz4", "zstd"]

NONE: Final = 0x00
LZ4: Final = 0x10
ZSTD: Final = 0x20

COMPRESS_ABOVE: Final = 2_048
"""Bytes above which compression pays for itself, see decision 16."""

MAX_BYTES: Final = 64 * 2**20
"""Bytes of a value that readers unpack at most, and so that writers compress."""

LEVEL: Final = 3
_LEAST_GAIN: Final = 8  # a result must save one eighth: below that, every read would pay for next to nothing
_LZ4_RATIO: Final = 255  # the format's own limit; whoever claims more is lying
_HEAD = struct.Struct("<II")
_LEAST_WINDOW: Final = 10  # log2 of bytes, the format's own


def compress(
    payload: bytes,
    above: int | None,
    algorithm: Algorithm = "lz4",
    *,
    dictionary: ZstdDictionary | None = None,
) -> tuple[int, bytes]:
    """Return the bits for the codec byte, and *payload* as it is to be stored.

    Args:
        payload: a codec's bytes.
        above: payloads up to so many bytes are left as they are; None leaves all.
        algorithm: `"lz4"` or `"zstd"`.
        dictionary: what zstd knows of typical values beforehand; readers need it, too.

    Returns:
        `LZ4` or `ZSTD` with the compressed bytes; or `NONE` with the very *payload* if it is small, does not shrink by
        an eighth, exceeds `MAX_BYTES`, or the library is not installed.

    Raises:
        ConfigurationError: there is no such algorithm, or a dictionary for lz4.
    """
    if algorithm not in {"lz4", "zstd"} or (dictionary is not None and algorithm != "zstd"):
        raise ConfigurationError(
            f"compression: algorithm={algorithm!r} with dictionary={dictionary!r}; it is 'lz4', or 'zstd' with or "
            "without a dictionary"
        )
    if above is None or not above < len(payload) <= MAX_BYTES:
        return NONE, payload
    bits, packed = _lz4_packed(payload) if algorithm == "lz4" else _zstd_packed(payload, dictionary)
    worthwhile = packed is not None and len(packed) <= len(payload) - len(payload) // _LEAST_GAIN
    return (bits, packed) if packed is not None and worthwhile else (NONE, payload)


def decompress(
    bits: int,
    payload: bytes | memoryview,
    *,
    dictionaries: Sequence[ZstdDictionary] = (),
    limit: int = MAX_BYTES,
) -> bytes | memoryview:
    """Return the codec's bytes of a stored *payload*.

    Args:
        bits: the codec byte, or its compression bits.
        payload: what is stored.
        dictionaries: those that writers use or used; a frame names its own.
        limit: bytes of the result at most.

    Raises:
        CodecError: the payload is damaged, too large, or needs a library or dictionary that is not here.
    """
    algorithm = bits & 0xF0
    if algorithm == NONE:
        return payload
    try:
        if algorithm == LZ4:
            return _lz4_unpacked(payload, limit)
        if algorithm == ZSTD:
            return _zstd_unpacked(payload, dictionaries, limit)
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"a stored value cannot be decompressed: {type(error).__qualname__}") from error
    raise CodecError(f"a stored value is compressed in a way that this release does not know: {algorithm:#x}")


# --- lz4 ------------------------------------------------------------------------------------------


def _crc32(payload: bytes) -> int:
    from zlib import crc32  # noqa: PLC0415 - with the first value that is compressed

    return crc32(payload)


def _lz4_packed(payload: bytes) -> tuple[int, bytes | None]:
    block = lz4_block()
    if block is None:
        return LZ4, None
    return LZ4, _HEAD.pack(_crc32(payload), len(payload)) + block.compress(payload, store_size=False)


def _lz4_unpacked(payload: bytes | memoryview, limit: int) -> bytes:
    block = _required(lz4_block(), "lz4")
    crc, size = _HEAD.unpack_from(payload)
    packed = payload[_HEAD.size :]
    if size > min(limit, _LZ4_RATIO * len(packed)):
        raise CodecError(
            f"a stored value claims {size} bytes; at most {limit} are unpacked, or it is damaged"
        )
    unpacked: bytes = block.decompress(packed, uncompressed_size=size)
    if len(unpacked) != size or _crc32(unpacked) != crc:
        raise CodecError("a stored value is damaged: its checksum is another")
    return unpacked


# --- zstd -----------------------------------------------------------------------------------------


def _zstd_packed(payload: bytes, dictionary: ZstdDictionary | None) -> tuple[int, bytes | None]:
    zstd = zstd_module()
    if zstd is None:
        return ZSTD, None
    options = {zstd.CompressionParameter.compression_level: LEVEL, zstd.CompressionParameter.checksum_flag: 1}
    prepared = None if dictionary is None else dictionary.for_writers
    return ZSTD, zstd.compress(payload, options=options, zstd_dict=prepared)


def _zstd_unpacked(payload: bytes | memoryview, dictionaries: Sequence[ZstdDictionary], limit: int) -> bytes:
    zstd = _required(zstd_module(), "zstd")
    frame = zstd.get_frame_info(payload)
    if frame.decompressed_size is None or frame.decompressed_size > limit:
        raise CodecError(
            f"a stored value claims {frame.decompressed_size} bytes; at most {limit} are unpacked"
        )
    named = {each.dictionary_id: each for each in dictionaries}
    if frame.dictionary_id and frame.dictionary_id not in named:
        raise CodecError(
            f"a stored value needs the zstd dictionary {frame.dictionary_id}; readers are given it first"
        )
    dictionary = named[frame.dictionary_id].for_readers if frame.dictionary_id else None
    # Memory grows with what comes out, whatever the frame claims; but for its window, which has a bound of its own.
    window = {zstd.DecompressionParameter.window_log_max: max(_LEAST_WINDOW, limit.bit_length())}
    stream = zstd.ZstdDecompressor(zstd_dict=dictionary, options=window)
    unpacked: bytes = stream.decompress(payload, max_length=frame.decompressed_size)
    if len(unpacked) != frame.decompressed_size or not stream.eof or stream.unused_data:
        raise CodecError("a stored value is damaged: it is not as long as it claims")
    return unpacked


# --- libraries ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def lz4_block() -> Any:
    """Return the module `lz4.block`, or None where the extra `lz4` is not installed."""
    return _module("lz4.block")


@lru_cache(maxsize=1)
def zstd_module() -> Any:
    """Return Python 3.14's `compression.zstd` or its backport; None where the extra `zstd` is not installed."""
    return _module("compression.zstd") or _module("backports.zstd")


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def _required(module: Any, extra: str) -> Any:
    if module is None:
        raise CodecError(
            f"a stored value is compressed by {extra}, which is not installed: staleproof[{extra}]"
        )
    return module
