"""uvicorn: its configuration and protocols."""
