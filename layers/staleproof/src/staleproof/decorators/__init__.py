"""Decorators: functions whose results are cached, and functions that change what others have cached.

==============  ==================================================================================
`cacheable`     answers from the cache, or runs and stores
`many`          the same for a list of ids, id by id
`putting`       always runs, and stores
`evicting`      runs, and invalidates; `transactions` lets that wait for a commit
`anywhere`      all of these with a cache that is named, and found at the first call
==============  ==================================================================================

How it works: `options` say what a decorator was told; `expressions` turn that into Python over the function's
parameters, and `compiling` into functions with the same parameters; a `Shape` (`blueprint`) has been checked and knows
no cache, a `Blueprint` makes calls of one; `hit_path` answers near hits; `methods` binds it all to objects; a `Recipe`
makes it again where a class adds defaults.
"""
