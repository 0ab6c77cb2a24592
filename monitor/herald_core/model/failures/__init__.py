"""Causes of failures: what a traceback names, and its stable fingerprint. Pure."""
