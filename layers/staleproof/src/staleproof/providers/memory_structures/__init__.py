"""Data structures inside the process: the commands of `staleproof.ports.structures`, one module a kind."""
