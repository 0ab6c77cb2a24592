"""Records and updates as bytes."""
