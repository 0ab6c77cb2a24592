"""Remote control of workers: questions, and their replies."""
