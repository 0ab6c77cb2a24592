"""Changes, pushed to subscriptions."""
