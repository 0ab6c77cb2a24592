"""The OpenAPI document of the HTTP interface, and its page."""
