"""The pipeline: change events in, tag invalidations in every region out.

A raw record becomes a `ChangeEvent` (`sources`), the rules say what it makes stale (`rules`), `invalidation` applies
that and hands it to the links (`replication`). `bootstrap` puts the parts together for the functions.
"""
