"""Task types: what may be started, and with which parameters."""
