"""Changes of tasks, posted to registered endpoints (Standard Webhooks 1.0)."""
