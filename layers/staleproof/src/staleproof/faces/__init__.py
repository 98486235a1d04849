"""`Cache` and `AsyncCache`, as applications meet them; each in a module, for only one of them needs asyncio."""
