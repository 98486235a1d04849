"""Where a cluster keeps a key: CRC16 of what stands in its first braces, or of all of it, modulo 16,384.

Source: https://valkey.io/topics/cluster-spec/#key-distribution-model
"""

from __future__ import annotations

from binascii import crc_hqx

SLOTS = 16_384


def slot_of(key: bytes) -> int:
    """Return the hash slot of *key*; braces with nothing between them count as any other text."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS
