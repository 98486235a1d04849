"""Near: what this process holds of a cache server, kept in step with the server's journal."""
