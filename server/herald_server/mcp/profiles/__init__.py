"""Which tools a caller is offered: by its scopes, and by a profile of its choice."""
