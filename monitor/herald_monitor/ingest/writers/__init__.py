"""Processes that help to store events during a flood."""
