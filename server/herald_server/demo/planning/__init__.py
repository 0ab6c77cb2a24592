"""The scheduling domain of the demo."""
