"""Every route is in the table of what routes take and answer."""

from starlette.routing import Mount, Route, WebSocketRoute

from herald_core.store.memory.store import MemoryStore
from herald_server.api.openapi.document import UNDOCUMENTED_PATHS, list_paths
from herald_server.api.openapi.operations import OPERATIONS
from herald_server.wiring.asgi import create_app
from herald_server.wiring.settings import ServerSettings

TOKEN = "a-token-for-tests"


def test_the_table_and_the_routes_are_the_same() -> None:
    app = create_app(ServerSettings(token=TOKEN), MemoryStore(), None)
    found = {(method, path) for method, path, _ in list_paths(app.routes)}
    assert found == OPERATIONS.keys(), "see herald_server/api/openapi/operations.py"
    others = [one for one in app.routes if not isinstance(one, Route)]
    # The files of the page, and what /asyncapi.json describes.
    assert {type(one) for one in others} == {Mount, WebSocketRoute}
    assert {"/api/v1/{rest}"} == UNDOCUMENTED_PATHS
