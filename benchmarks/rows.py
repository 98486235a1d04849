"""Every row, in the order in which it is measured and shown, with its goal.

The crowds come last: a million entries fill the server, and the rows before them need none.
"""

from __future__ import annotations

from benchmarks import cold_import, crowd, footprint, near_hit, tagged, throughput
from benchmarks.figures import Row

RAW_GET = "our raw GET, 1 kB"
RAW_SET = "our raw SET, 1 kB"
BARE = "python -c pass"

ROWS = (
    Row("tagged_read_3_vs_get", "strict hit, 3 tags, 1 kB", RAW_GET, "µs", 1.25, tagged.read_vs_get, 6.0),
    Row(
        "tagged_read_vs_redispy_get",
        "strict hit, 3 tags, 1 kB",
        "redis-py client.get",
        "µs",
        0.6,
        tagged.read_vs_redispy,
        6.0,
    ),
    Row("tagged_write_3_vs_set", "store under a lease, 3 tags", RAW_SET, "µs", 1.5, tagged.write_vs_set),
    Row("bytes_per_tag_per_key", "memory per tag and entry", "1 byte", "bytes", 16, footprint.bytes_per_tag),
    Row(
        "decorated_l1_hit_vs_lru_cache",
        "near-cache hit",
        "lru_cache in a function",
        "µs",
        6.0,
        near_hit.vs_lru_cache,
        3.0,
    ),
    Row("cold_import_core", cold_import.CORE, BARE, "µs", 2.5, cold_import.core, 5.0),
    Row("cold_import_facade", cold_import.FACADE, BARE, "µs", 5.5, cold_import.facade, 5.0),
    Row(
        "apply_event_vs_bare_loop",
        "an event of a Redis stream, applied",
        "XREADGROUP, XACK each",
        "µs",
        2.0,
        throughput.vs_bare_loop,
        6.0,
    ),
    Row("invalidate_tag_1m_vs_set", "invalidate a tag of 1,000,000", RAW_SET, "µs", 1.5, crowd.vs_set),
    Row(
        "invalidate_tag_1m_vs_1k",
        "invalidate a tag of 1,000,000",
        "the same of 1,000",
        "µs",
        1.5,
        crowd.vs_few,
    ),
)
