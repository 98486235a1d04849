"""Compression: worthwhile or left alone, undone exactly, and bounded whatever a payload claims."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from typing import TYPE_CHECKING, Any

import lz4.block  # type: ignore[import-untyped]
import pytest
from backports import zstd

from staleproof import CodecError, ConfigurationError
from staleproof.codecs import MsgpackCodec, ZstdDictionary, compress, decompress, train
from staleproof.codecs import compression as module
from staleproof.codecs.compression import LZ4, MAX_BYTES, NONE, ZSTD

if TYPE_CHECKING:
    from collections.abc import Iterator

PAYLOAD = MsgpackCodec().encode(
    [{"id": n, "name": f"product {n}", "brand": f"brand {n % 7}"} for n in range(200)]
)
every_algorithm = pytest.mark.parametrize(("algorithm", "bits"), [("lz4", LZ4), ("zstd", ZSTD)])


def rows(count: int) -> list[bytes]:
    return [
        MsgpackCodec().encode({"id": n, "name": f"product {n}", "brand": f"brand {n % 7}", "price": n * 1.25})
        for n in range(count)
    ]


@every_algorithm
def test_large_payloads_are_compressed(algorithm: Any, bits: int) -> None:
    """What is above the threshold and shrinks is packed; the bits leave the codec's id alone."""
    packed = compress(PAYLOAD, 1_000, algorithm)

    assert packed[0] == bits
    assert bits & 0x0F == 0
    assert len(packed[1]) < len(PAYLOAD) / 2
    assert decompress(bits | 0x02, memoryview(packed[1])) == PAYLOAD


@every_algorithm
@pytest.mark.parametrize(
    ("payload", "above"),
    [(PAYLOAD, None), (PAYLOAD, len(PAYLOAD)), (b"", 0), (b"short", 0), (os.urandom(5_000), 100)],
    ids=["off", "at the threshold", "empty", "short", "random"],
)
def test_what_does_not_gain_is_left_alone(
    algorithm: Any, bits: int, payload: bytes, above: int | None
) -> None:
    """The very payload is returned where compression is off, or would gain less than an eighth."""
    assert compress(payload, above, algorithm) == (NONE, payload)
    assert compress(payload, above, algorithm)[1] is payload
    assert decompress(NONE, payload) is payload


def test_what_readers_would_refuse_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload beyond the readers' bound stays as it is."""
    monkeypatch.setattr(module, "MAX_BYTES", 1_000)

    assert compress(PAYLOAD, 0) == (NONE, PAYLOAD)


@every_algorithm
def test_a_bomb_is_not_unpacked(algorithm: Any, bits: int) -> None:
    """A few bytes that stand for many are refused by what they claim, before anything is made room for."""
    bomb = compress(bytes(2_000_000), 0, algorithm)[1]

    assert len(bomb) < 9_000
    with pytest.raises(CodecError, match="claims 2000000 bytes; at most 1000000"):
        decompress(bits, bomb, limit=1_000_000)
    assert decompress(bits, bomb) == bytes(2_000_000)


def test_a_claim_that_lies_is_refused() -> None:
    """A size that the bytes cannot hold, or do not, is damage; nothing is allocated for it."""
    block = lz4.block.compress(PAYLOAD, store_size=False)
    crc = zlib.crc32(PAYLOAD)
    for size in (0, len(PAYLOAD) - 1, len(PAYLOAD) + 1, 255 * len(block), MAX_BYTES, 2**32 - 1):
        with pytest.raises(CodecError):
            decompress(LZ4, struct.pack("<II", crc, size) + block)


def test_a_frame_that_lies_is_refused() -> None:
    """A zstd frame without a size, with trailing bytes, or with a window beyond the bound is refused."""
    sizeless = zstd.ZstdCompressor()
    endless = sizeless.compress(bytes(100_000)) + sizeless.flush()
    wide = zstd.ZstdCompressor(
        options={
            zstd.CompressionParameter.window_log: 27,
            zstd.CompressionParameter.enable_long_distance_matching: 1,
        }
    )
    wide.set_pledged_input_size(10**9)
    start = wide.compress(os.urandom(300_000), zstd.ZstdCompressor.FLUSH_BLOCK)

    for frame in (endless, compress(PAYLOAD, 0, "zstd")[1] + b"more", start, zstd.compress(PAYLOAD) * 2):
        with pytest.raises(CodecError):
            decompress(ZSTD, frame)


@every_algorithm
@pytest.mark.parametrize("at", [0, 4, 20, -3])
def test_damage_is_noticed(algorithm: Any, bits: int, at: int) -> None:
    """One flipped bit anywhere, or a cut, is a `CodecError`."""
    packed = bytearray(compress(PAYLOAD, 0, algorithm)[1])

    with pytest.raises(CodecError):
        decompress(bits, bytes(packed[:at]))
    packed[at] ^= 1
    with pytest.raises(CodecError):
        decompress(bits, bytes(packed))


@pytest.mark.parametrize("bits", [0x30, 0x40, 0xF0, 0x52])
def test_unknown_bits_are_refused(bits: int) -> None:
    """What a later release compressed in its own way is a `CodecError` here."""
    with pytest.raises(CodecError, match=f"{bits & 0xF0:#x}"):
        decompress(bits, PAYLOAD)


@pytest.mark.parametrize(
    ("algorithm", "dictionary"), [("gzip", None), ("lz4", object())], ids=["gzip", "lz4"]
)
def test_unknown_algorithms_are_refused(algorithm: Any, dictionary: Any) -> None:
    """The error names what there is."""
    with pytest.raises(ConfigurationError, match="'lz4', or 'zstd'"):
        compress(PAYLOAD, 0, algorithm, dictionary=dictionary)


class TestDictionary:
    """A trained dictionary makes small values shrink; a frame names the one that it needs."""

    SAMPLES = rows(500)

    def test_small_values_shrink(self) -> None:
        """What is too small to shrink by itself does with a dictionary."""
        row = rows(600)[-1]
        trained = train(self.SAMPLES, 2_048)

        assert compress(row, 0, "zstd") == (NONE, row)
        bits, packed = compress(row, 0, "zstd", dictionary=trained)
        assert bits == ZSTD
        assert decompress(bits, packed, dictionaries=[trained]) == row

    def test_the_right_one_is_found(self) -> None:
        """Old and new dictionaries are used side by side; one that is not here is named."""
        old, new = train(self.SAMPLES[:250], 1_024), train(self.SAMPLES[250:], 2_048)
        packed = compress(PAYLOAD, 0, "zstd", dictionary=old)[1]

        assert decompress(ZSTD, packed, dictionaries=[new, ZstdDictionary(old.raw)]) == PAYLOAD
        for wrong in ([], [new]):
            with pytest.raises(CodecError, match=f"needs the zstd dictionary {old.dictionary_id}"):
                decompress(ZSTD, packed, dictionaries=wrong)
        assert decompress(ZSTD, compress(PAYLOAD, 0, "zstd")[1], dictionaries=[new]) == PAYLOAD

    @pytest.mark.parametrize("samples", [[], [b"a"] * 3, [b""] * 50], ids=["none", "few", "empty"])
    def test_poor_samples_are_refused(self, samples: list[bytes]) -> None:
        """A dictionary takes many payloads: the error says so."""
        with pytest.raises(ConfigurationError, match="samples"):
            train(samples)

    @pytest.mark.parametrize("raw", [b"", b"no dictionary", None], ids=repr)
    def test_other_bytes_are_no_dictionary(self, raw: Any) -> None:
        """Bytes that `train` did not make are refused."""
        with pytest.raises(ConfigurationError, match="no Zstandard dictionary"):
            ZstdDictionary(raw)


class TestWithoutLibraries:
    """Both libraries are extras."""

    @pytest.fixture(autouse=True)
    def bare(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """An installation without extras."""
        for name in ("lz4.block", "compression.zstd", "backports.zstd"):
            monkeypatch.setitem(sys.modules, name, None)
        for found in (module.lz4_block, module.zstd_module):
            found.cache_clear()
        yield
        monkeypatch.undo()
        for found in (module.lz4_block, module.zstd_module):
            found.cache_clear()

    @every_algorithm
    def test_writers_leave_values_as_they_are(self, algorithm: Any, bits: int) -> None:
        """Nothing fails where a value is stored."""
        assert compress(PAYLOAD, 0, algorithm) == (NONE, PAYLOAD)

    @every_algorithm
    def test_readers_miss(self, algorithm: Any, bits: int) -> None:
        """What others compressed is a `CodecError` that names the extra."""
        with pytest.raises(CodecError, match=rf"staleproof\[{algorithm}\]"):
            decompress(bits, PAYLOAD)

    def test_dictionaries_need_theirs(self) -> None:
        """Training says what to install."""
        with pytest.raises(ConfigurationError, match=r"staleproof\[zstd\]"):
            train(rows(20))
