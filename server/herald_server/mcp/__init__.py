"""The MCP door: tools, resources, and pushed task status.

Importing a room of this one costs half a second (FastMCP), so nothing is
imported here; `herald_server.mcp.door` is the way in.
"""
