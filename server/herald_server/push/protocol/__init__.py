"""Messages of `herald.v1`, and their AsyncAPI document."""
