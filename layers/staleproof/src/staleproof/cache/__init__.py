"""The cache: calls, plans, drivers, the near cache, and the operations of both faces."""
