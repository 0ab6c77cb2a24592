"""The configuration of MCP clients: where it lies, and what Herald's part is."""
