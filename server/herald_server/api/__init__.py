"""Routes: REST, WebSocket, server-sent events, dashboard."""
