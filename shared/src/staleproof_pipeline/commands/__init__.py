"""Subcommands of `staleproof` that the pipeline brings, by entry points of the group `staleproof.commands`."""
