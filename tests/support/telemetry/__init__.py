"""What telemetry is exported to."""
