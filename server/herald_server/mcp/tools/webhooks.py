"""Tools of webhooks."""

from __future__ import annotations

from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import BaseModel, Field

from herald_server.auth.identity import ScopedTokenRefused
from herald_server.mcp.answers.pages import DEFAULT_ROWS, cut_page
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.input_schemas import FILTER
from herald_server.mcp.parameters import (
    Limit,
    NextPage,
    add_read_tool,
    add_write_tool,
    remove_unset,
)
from herald_server.webhooks.admin import WebhookAdmin

WebhookId = Annotated[
    str, Field(description="A webhook_id as register_webhook or list_webhooks gave it")
]


class RegisteredWebhook(BaseModel):
    """A webhook that was registered."""

    webhook_id: str = Field(description="Its id, for delete_webhook")
    url: str = Field(description="Where changes are posted")
    on: list[str] = Field(description="Which changes of a task are posted")
    filter: dict[str, Any] = Field(description="Of which tasks; empty: of all")
    secret: str = Field(
        description="The signing secret (Standard Webhooks). It is shown only now"
    )
    message: str = Field(description="What to do next")


class WebhookState(BaseModel):
    """A webhook, and how it fares."""

    webhook_id: str = Field(description="Its id")
    url: str = Field(description="Where changes are posted")
    on: list[str] = Field(description="Which changes of a task are posted")
    filter: dict[str, Any] = Field(description="Of which tasks; empty: of all")
    description: str = Field(default="", description="What it is for")
    origin: str = Field(
        description="api (can be deleted), or herald.toml (changed only there)"
    )
    accepted: int = Field(description="Messages that were accepted")
    failed: int = Field(description="Attempts that failed")
    waiting: int = Field(description="Messages that wait to be sent")
    dead: int = Field(description="Messages that were given up and can be replayed")
    breaker: str = Field(
        description="closed (all is well), open (left alone for a while after "
        "failures), half_open (being tried again)"
    )
    last_success_at: str | None = Field(default=None, description="RFC 3339, UTC")
    last_failure_at: str | None = Field(default=None, description="RFC 3339, UTC")
    last_error: str | None = Field(
        default=None, description="What the last failed attempt came to"
    )
    disabled_why: str | None = Field(
        default=None, description="Why nothing is sent any more, if so"
    )


class ListedWebhooks(BaseModel):
    """All webhooks."""

    total: int = Field(description="How many there are")
    webhooks: list[WebhookState] = Field(description="Oldest first")
    next: str | None = Field(
        default=None, description="Pass it as `page` for the next page; null at the end"
    )


class DeletedWebhook(BaseModel):
    """A webhook that was deleted."""

    webhook_id: str = Field(description="Its id")
    message: str = Field(description="What came of it")


class WebhookTools:
    """The tools `register_webhook`, `list_webhooks` and `delete_webhook`."""

    def __init__(self, admin: WebhookAdmin) -> None:
        self._admin = admin

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_write_tool(
            mcp, self.register_webhook, "Register a webhook", idempotent=False
        )
        add_read_tool(mcp, self.list_webhooks, "List webhooks")
        add_write_tool(
            mcp,
            self.delete_webhook,
            "Delete a webhook",
            idempotent=True,
            destructive=True,
        )

    async def register_webhook(
        self,
        url: Annotated[
            str, Field(description="Where to post: https://… or http://…; public")
        ],
        filter: Annotated[
            dict[str, Any] | None,
            Field(
                json_schema_extra=FILTER,
                description="Which tasks: keys ids, name, state, worker, queue, root, "
                "parent, group, tag with a text or a list of texts; * and ? are wild "
                'in name, worker and queue. Such as {"name": "reports.*"}; leave out '
                "for all",
            ),
        ] = None,
        on: Annotated[
            str | list[str] | None,
            Field(
                description="Which changes: final (ends; the default), states (every "
                "change of state), updates (progress and the like), or states such as "
                "['FAILURE', 'LOST']"
            ),
        ] = None,
        format: Annotated[
            str | None, Field(description="herald (the default) or cloudevents")
        ] = None,
        description: Annotated[
            str | None, Field(description="What it is for, for people")
        ] = None,
    ) -> RegisteredWebhook:
        """Have changes of tasks posted to a URL, from now on, until it is deleted.

        Each is sent until it is accepted, in order for each task, signed as Standard
        Webhooks prescribe. Use it to tell another system; to learn yourself when a
        task ends, call wait_for_task.
        """
        given = remove_unset(url=url, filter=filter, on=on)
        given |= remove_unset(format=format, description=description)
        with convert_to_tool_error():
            _require_admin("register_webhook")
            made = await self._admin.register(given)
        return RegisteredWebhook(
            webhook_id=made["id"],
            url=made["url"],
            on=made["on"],
            filter=made["filter"],
            secret=made["secret"],
            message="Give the secret to the operator of the endpoint, which verifies "
            "with it. It is not shown again. list_webhooks returns its state.",
        )

    async def list_webhooks(
        self, limit: Limit = DEFAULT_ROWS, page: NextPage = None
    ) -> ListedWebhooks:
        """List the webhooks: where each posts to, and whether it gets through."""
        with convert_to_tool_error():
            _require_admin("list_webhooks")
            listed = await self._admin.list_all()
            shown, next_page = cut_page(listed, limit, page)
        return ListedWebhooks(
            total=len(listed),
            webhooks=[WebhookState(webhook_id=one["id"], **one) for one in shown],
            next=next_page,
        )

    async def delete_webhook(self, webhook_id: WebhookId) -> DeletedWebhook:
        """Stop posting to a webhook, and forget it with all that waits for it."""
        with convert_to_tool_error():
            _require_admin("delete_webhook")
            await self._admin.delete(webhook_id)
        return DeletedWebhook(
            webhook_id=webhook_id, message="It is deleted; nothing more is sent to it."
        )


def _require_admin(what: str) -> None:
    """Raise `PermissionDenied` unless the caller has `admin` and can see every task."""
    if require_scope("admin", what).task_filter is not None:
        raise ScopedTokenRefused(what)
