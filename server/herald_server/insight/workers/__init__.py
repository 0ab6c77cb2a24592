"""What workers did, and when their state changed."""
