"""Tools of orders for many tasks, and the purge of a queue."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastmcp import FastMCP
from pydantic import Field

from herald_core.model.orders import Order
from herald_server.control.bulk.build import Bulk
from herald_server.control.purge.purge_queue import parse_depth
from herald_server.mcp.answers.pages import DEFAULT_ROWS, cut_page
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.input_schemas import FILTER
from herald_server.mcp.models.orders import ListedOrders, OrderState, PreparedOrder
from herald_server.mcp.parameters import (
    Limit,
    NextPage,
    add_read_tool,
    add_write_tool,
    remove_unset,
)
from herald_server.mcp.start import BrokerNotConfigured, run_shielded

Action = Annotated[
    Literal["retry", "cancel"], Field(description="retry (run again) or cancel")
]
Query = Annotated[
    str | None,
    Field(description="Text that selects tasks, such as failed name:reports.* last:1h"),
]
Keys = Annotated[
    dict[str, Any] | None,
    Field(
        json_schema_extra=FILTER,
        description='Or a filter such as {"name": "reports.*", "state": ["FAILURE"]}',
    ),
]
Ids = Annotated[list[str] | None, Field(description="Or the ids of the tasks")]
After = Annotated[str | None, Field(description="Only first seen after; RFC 3339")]
Before = Annotated[str | None, Field(description="Only first seen before; RFC 3339")]
At = Annotated[
    str | None, Field(description="`at` of the selection that was prepared; RFC 3339")
]
Rerun = Annotated[
    bool, Field(description="Whether tasks that ran again already are sent again, too")
]


class OrderTools:
    """The tools of bulk orders and of purges."""

    def __init__(self, bulk: Bulk | None) -> None:
        self._bulk = bulk

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_read_tool(mcp, self.prepare_bulk_order, "Prepare an order for many tasks")
        confirm = self.confirm_bulk_order
        add_write_tool(
            mcp,
            confirm,
            "Retry or cancel many tasks",
            idempotent=False,
            destructive=True,
        )
        add_read_tool(mcp, self.list_orders, "List orders")
        add_write_tool(mcp, self.stop_order, "Stop an order", idempotent=True)
        add_write_tool(
            mcp, self.purge_queue, "Purge a queue", idempotent=False, destructive=True
        )

    def _require_bulk(self) -> Bulk:
        if self._bulk is None:
            raise BrokerNotConfigured(
                "this server knows no broker to send to; set HERALD_BROKER_URL"
            )
        return self._bulk

    async def prepare_bulk_order(
        self,
        action: Action,
        query: Query = None,
        filter: Keys = None,
        ids: Ids = None,
        after: After = None,
        before: Before = None,
        include_rerun: Rerun = False,
    ) -> PreparedOrder:
        """Tell what a retry or cancel of many tasks would do. Changes nothing.

        Show your user the number and the names; then call confirm_bulk_order with
        the same action, the keys of `selection`, and `expect` = `count`. A retry needs
        the scope start too, a cancel the scope cancel.
        """
        given = remove_unset(query=query, filter=filter, ids=ids, after=after)
        given |= remove_unset(before=before, include_rerun=include_rerun or None)
        with convert_to_tool_error():
            require_scope("read", "prepare_bulk_order")
            found = await self._require_bulk().orders.submit(
                {"action": action, **given}
            )
        assert not isinstance(found, Order)
        return PreparedOrder(**found)

    async def confirm_bulk_order(
        self,
        action: Action,
        expect: Annotated[
            int, Field(description="`count` of prepare_bulk_order; another is refused")
        ],
        query: Query = None,
        filter: Keys = None,
        ids: Ids = None,
        after: After = None,
        before: Before = None,
        at: At = None,
        include_rerun: Rerun = False,
        per_second: Annotated[
            float | None, Field(description="Tasks a second at most")
        ] = None,
    ) -> OrderState:
        """Retry or cancel exactly `expect` selected tasks, as one tracked order.

        Only after prepare_bulk_order, and with your user's consent. Each task is
        sent once. It goes on after the answer: list_orders tells how far it is. A retry
        needs the scope start too, a cancel the scope cancel.
        """
        given = remove_unset(query=query, filter=filter, ids=ids, after=after, at=at)
        given |= remove_unset(before=before, include_rerun=include_rerun or None)
        given |= remove_unset(per_second=per_second)
        with convert_to_tool_error():
            require_scope("read", "confirm_bulk_order")
            orders = self._require_bulk().orders
            order = await run_shielded(
                orders.submit({"action": action, "expect": expect, **given})
            )
        assert isinstance(order, Order)
        return make_order_state(order)

    async def list_orders(
        self, limit: Limit = DEFAULT_ROWS, page: NextPage = None
    ) -> ListedOrders:
        """List the newest orders: what was asked for many tasks, workers and queues."""
        with convert_to_tool_error():
            require_scope("read", "list_orders")
            found = await self._require_bulk().orders.list_orders()
            shown, next_page = cut_page(found, limit, page)
        return ListedOrders(
            total=len(found),
            orders=[make_order_state(one) for one in shown],
            next=next_page,
        )

    async def stop_order(
        self, order_id: Annotated[str, Field(description="The id of the order")]
    ) -> OrderState:
        """Stop a bulk order before its next task; what was done stays done.

        It needs the scope of its action too: start or cancel.
        """
        with convert_to_tool_error():
            require_scope("read", "stop_order")
            order = await self._require_bulk().orders.stop_order(order_id)
        return make_order_state(order)

    async def purge_queue(
        self,
        queue: Annotated[str, Field(description="The name of the queue")],
        expect_depth: Annotated[
            int, Field(description="How many messages wait in it, as list_queues says")
        ],
    ) -> OrderState:
        """Remove all messages that wait in a queue: their tasks never start.

        Cannot be undone; ask your user first. Refused if the depth is not about
        `expect_depth`.
        """
        with convert_to_tool_error():
            require_scope("admin", "purge_queue")
            purge = self._require_bulk().purge
            order = await run_shielded(purge.purge(queue, parse_depth(expect_depth)))
        return make_order_state(order)


def make_order_state(order: Order) -> OrderState:
    """Return an order as a tool answers it."""
    fields: dict[str, Any] = msgspec.to_builtins(order)
    return OrderState(order_id=fields.pop("id"), **fields)
