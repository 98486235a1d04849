"""Zstandard dictionaries: what typical values have in common, so that small values compress, too.

A dictionary is trained once on stored payloads and then deployed with the code, readers first: a reader without it
cannot read what was written with it. Each frame names the dictionary that it needs, so a new one may replace an old one
while entries of both are stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.codecs.compression import zstd_module
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

DICTIONARY_BYTES = 32 * 2**10
LEAST_SAMPLES = 8
MAX_FILE = 4 * 2**20
"""Bytes of a file that is read for a dictionary: far more than helps, far less than hurts."""


class ZstdDictionary:
    """A trained dictionary.

    Args:
        raw: its bytes, as `train` returned them in `raw`.

    Raises:
        ConfigurationError: they are no dictionary, or the extra `zstd` is not installed.
    """

    __slots__ = ("_dictionary", "raw")

    def __init__(self, raw: bytes) -> None:
        try:
            self._dictionary = _zstd().ZstdDict(raw)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"raw: no Zstandard dictionary: {error}; `train` makes one") from error
        self.raw = raw

    @property
    def dictionary_id(self) -> int:
        """The number by which frames name it."""
        return int(self._dictionary.dict_id)

    @property
    def for_writers(self) -> Any:
        """The dictionary as the library takes it to compress: digested once, not at every value."""
        return self._dictionary.as_digested_dict

    @property
    def for_readers(self) -> Any:
        """The dictionary as the library takes it to decompress."""
        return self._dictionary

    def __repr__(self) -> str:
        return f"ZstdDictionary({self.dictionary_id}, {len(self.raw)} bytes)"


def loaded(path: str) -> ZstdDictionary:
    """Return the dictionary in the file at *path*.

    Raises:
        ConfigurationError: there is no such file, it is larger than `MAX_FILE` bytes, or no dictionary.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib would be one more import for a start
            raw = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror}; put the bytes of `train(...).raw` there"
        ) from error
    if len(raw) > MAX_FILE:
        raise ConfigurationError(f"{path} has more than {MAX_FILE} bytes, which no good dictionary needs")
    try:
        return ZstdDictionary(raw)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def train(samples: Iterable[bytes], size: int = DICTIONARY_BYTES) -> ZstdDictionary:
    """Return a dictionary for payloads that are like *samples*.

    Args:
        samples: payloads as a codec wrote them, a few hundred of the kind that is to be compressed.
        size: bytes of the dictionary at most; about a hundredth of the samples is a good measure.

    Raises:
        ConfigurationError: there are too few samples, or nothing in them, or the extra `zstd` is not installed.
    """
    given = list(samples)
    if len(given) < LEAST_SAMPLES:
        raise ConfigurationError(f"samples: {len(given)} were given; a dictionary takes hundreds")
    zstd = _zstd()
    try:
        trained = zstd.train_dict(given, size)
    except (zstd.ZstdError, ValueError) as error:
        raise ConfigurationError(
            f"samples: no dictionary can be made of them: {error}; give more, and larger"
        ) from error
    return ZstdDictionary(bytes(trained.dict_content))


def _zstd() -> Any:
    zstd = zstd_module()
    if zstd is None:
        raise ConfigurationError("Zstandard dictionaries need the extra: pip install 'staleproof[zstd]'")
    return zstd
