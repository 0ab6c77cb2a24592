"""The clients: `Herald` for asyncio, `SyncHerald` for threads."""
