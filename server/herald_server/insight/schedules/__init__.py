"""Schedules of periodic tasks, as readers see them."""
