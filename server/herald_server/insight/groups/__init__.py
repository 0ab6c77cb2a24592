"""Groups and chains."""
