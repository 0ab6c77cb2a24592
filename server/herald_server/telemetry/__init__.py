"""OpenTelemetry: spans of attempts, and metrics, exported by OTLP over HTTP."""
