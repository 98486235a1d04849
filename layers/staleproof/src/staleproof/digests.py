"""`blake2b`, without what `hashlib` loads beside it: OpenSSL, 2 ms of a cold start that need none of it.

The standard library's `random` takes SHA-512 in the same way.
"""

from __future__ import annotations

try:
    from _blake2 import blake2b
except ImportError:  # an interpreter that has it elsewhere
    from hashlib import blake2b

__all__ = ["blake2b"]
