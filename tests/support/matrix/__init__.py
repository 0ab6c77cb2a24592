"""Clients of MCP that others have made, on one journey."""
