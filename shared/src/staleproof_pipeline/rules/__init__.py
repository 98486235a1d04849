"""Rules: which change makes which tags and keys stale. Pure but for reading the file.

`model` is the file's shape, `loader` reads it with errors that name a line, `paths` finds values in a change, `match`
decides whether a rule concerns a change, `derive` says what it makes stale, `ruleset` holds them all.
"""
