"""How a server process is put together and run."""
