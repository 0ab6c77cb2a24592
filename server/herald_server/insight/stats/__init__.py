"""Statistics over the rollups."""
