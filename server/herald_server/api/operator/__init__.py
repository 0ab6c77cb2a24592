"""Routes for operators: orders, failures, schedules and marks."""
