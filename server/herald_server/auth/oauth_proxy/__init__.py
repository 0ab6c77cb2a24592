"""This server as the authorization server of its MCP clients, for a provider of OpenID
Connect at which they cannot register."""
