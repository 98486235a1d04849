"""What a cache offers beside values: rate limits, locks, bounded lists, Bloom filters, documents.

Each handle has a blocking and an asyncio class with the same methods; what they do stands in plans, without I/O.
"""
