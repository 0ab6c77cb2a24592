"""What a Herald server answers."""
