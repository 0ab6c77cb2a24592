"""`herald doctor`: checks the broker, backend, workers and store."""
