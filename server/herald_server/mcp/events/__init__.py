"""The events extension of MCP."""
