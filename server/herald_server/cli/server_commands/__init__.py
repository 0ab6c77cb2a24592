"""Commands that run Herald, or prepare it."""
