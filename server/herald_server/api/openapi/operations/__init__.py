"""What each route takes and answers. A test holds these tables to the routes."""

from __future__ import annotations

from herald_server.api.openapi.operations.admin import (
    ADMIN_OPERATIONS,
    SIGN_IN_OPERATIONS,
)
from herald_server.api.openapi.operations.fleet import FLEET_OPERATIONS
from herald_server.api.openapi.operations.insight import (
    ALERT_OPERATIONS,
    INSIGHT_OPERATIONS,
)
from herald_server.api.openapi.operations.operation import OperationTable
from herald_server.api.openapi.operations.others import OTHER_OPERATIONS
from herald_server.api.openapi.operations.tasks import TASK_OPERATIONS

OPERATIONS: OperationTable = {
    **TASK_OPERATIONS,
    **FLEET_OPERATIONS,
    **INSIGHT_OPERATIONS,
    **ALERT_OPERATIONS,
    **ADMIN_OPERATIONS,
    **SIGN_IN_OPERATIONS,
    **OTHER_OPERATIONS,
}
"""Operations by method and path, in the order in which they are shown."""
