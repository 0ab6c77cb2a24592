"""What is done for each task of a bulk order."""
