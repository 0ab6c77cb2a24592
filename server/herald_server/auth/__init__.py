"""Who calls, what they may see, and how much they may use."""
