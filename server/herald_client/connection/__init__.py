"""HTTP and WebSocket connections to a Herald server."""
