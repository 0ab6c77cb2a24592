"""MCP over HTTP: authentication, sessions, headers."""
