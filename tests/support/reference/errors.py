"""The statuses of HTTP errors, from the OpenAPI document."""

from herald_server.api.openapi.document import STATUS_TEXTS
from tests.support.reference.tables import write_table


def write_statuses() -> str:
    """Return the statuses and their meanings as a table."""
    rows = [(str(status), text) for status, text in sorted(STATUS_TEXTS.items())]
    return write_table(("status", "meaning"), rows)
