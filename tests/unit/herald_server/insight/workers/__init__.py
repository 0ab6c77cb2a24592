"""What workers did, over a store in memory."""
