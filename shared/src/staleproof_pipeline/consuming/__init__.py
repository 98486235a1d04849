"""Consumers that fetch for themselves: of Redis streams, where Lambda has no event source, and long-lived workers."""
