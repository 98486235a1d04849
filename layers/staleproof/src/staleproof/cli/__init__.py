"""The `staleproof` command. The library never imports it; it needs the extra `cli`."""
