"""Receivers of alerts, and the problems that they are about."""
