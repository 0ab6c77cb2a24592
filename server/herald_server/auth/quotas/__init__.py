"""Bounds on what one caller may use: connections, CPU time, unread bytes."""
