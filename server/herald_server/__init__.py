"""Herald's server: tells people and agents, the moment something changes."""
