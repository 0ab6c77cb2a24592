"""Resources, and subscriptions to them."""
