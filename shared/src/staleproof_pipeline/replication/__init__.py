"""Replication: push first, the journal as the safety net.

`links` is the port to the peers, `eventbridge_link` the one over a bus, `packing` what travels on it. `push` hands over
what was just applied; `follow` ships from the journal whatever the push missed.
"""
