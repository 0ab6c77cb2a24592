"""The MCP server: tools, resources, and pushed task status.

Importing a module of this package takes half a second (FastMCP), so nothing is imported
here; `herald_server.mcp.door` is the entry point.
"""
