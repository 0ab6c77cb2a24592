"""Sessions and subscriptions of one client, without any transport."""
