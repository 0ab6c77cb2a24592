"""Result backends: reading stored results, and receiving new ones."""
