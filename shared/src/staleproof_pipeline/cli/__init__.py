"""Subcommands of `staleproof` that the pipeline brings; they need the extra `cli`, and no function imports them."""
