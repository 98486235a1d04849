"""Data structures: typed handles of sorted sets, lists, hashes and the like, which tags empty in constant time.

=============  ====================================================================================
`template`     `cache.sorted_set("leaderboard:{game}", …)`: makes a handle for each game
`handle`       what every handle has: where it points to, and the plan that asks
`method`       one definition of an operation, for blocking and for asyncio handles
`elements`     what members, fields and values are on the server
`requests`     the two questions that a plan asks a provider
=============  ====================================================================================

The others have the operations of one kind each.
"""
