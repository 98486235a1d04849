"""Providers: cache servers behind the ports of `staleproof.ports`, one module or folder each."""
