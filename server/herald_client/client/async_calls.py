"""One method for each route of the REST API, with asyncio."""

from __future__ import annotations

from herald_client import requests
from herald_client.client.calls import (
    AsyncSender,
    await_answer,
    await_part,
    name_methods,
)
from herald_client.requests.request import Request, T


@name_methods
class AsyncCalls(AsyncSender):
    """The coroutine methods of a client that send one request each."""

    # -- tasks
    task = await_answer(requests.tasks.get_task)
    wait_once = await_answer(requests.tasks.wait_for_task)
    why = await_answer(requests.tasks.explain_task)
    tree = await_answer(requests.tasks.get_tree)
    result = await_answer(requests.tasks.get_result)
    suggest = await_answer(requests.tasks.suggest)
    stats = await_answer(requests.tasks.get_stats)
    start = await_answer(requests.tasks.start)
    retry = await_answer(requests.tasks.retry)
    cancel = await_answer(requests.tasks.cancel)

    # -- alerts
    alerts = await_answer(requests.alerts.list_alerts)
    test_alerts = await_answer(requests.alerts.send_test)
    silence_alerts = await_answer(requests.alerts.silence_alerts)
    delete_silence = await_answer(requests.alerts.delete_silence)

    # -- groups
    group = await_answer(requests.groups.get_group)
    groups = await_answer(requests.groups.list_groups)
    cancel_group = await_answer(requests.groups.cancel_group)

    # -- figures
    series = await_answer(requests.figures.get_series)
    types = await_answer(requests.figures.list_types)
    failing = await_answer(requests.figures.list_failing)
    suspects = await_answer(requests.figures.list_suspects)
    overview = await_answer(requests.figures.get_overview)
    failures = await_answer(requests.failures.list_failures)
    failure = await_answer(requests.failures.get_failure)

    # -- workers and queues
    get_worker = await_answer(requests.workers.get_worker)
    get_worker_history = await_answer(requests.workers.get_worker_history)
    order_worker = await_answer(requests.workers.order_worker)
    dismiss_worker = await_answer(requests.workers.dismiss_worker)
    queues = await_part(requests.queues.list_queues, lambda found: found.queues)
    pause_queue = await_answer(requests.queues.pause_queue)
    resume_queue = await_answer(requests.queues.resume_queue)

    # -- periodic tasks
    schedules = await_part(
        requests.schedules.list_schedules, lambda found: found.schedules
    )
    schedule = await_answer(requests.schedules.get_schedule)
    order_schedule = await_answer(requests.schedules.order_schedule)

    # -- deploys
    marks = await_part(requests.marks.list_marks, lambda found: found.marks)
    mark = await_answer(requests.marks.mark)
    delete_mark = await_answer(requests.marks.delete_mark)
    slower = await_answer(requests.marks.list_slower)
    compare = await_answer(requests.marks.compare)

    # -- webhooks
    webhooks = await_answer(requests.webhooks.list_webhooks)
    webhook = await_answer(requests.webhooks.get_webhook)
    register_webhook = await_answer(requests.webhooks.register_webhook)
    delete_webhook = await_answer(requests.webhooks.delete_webhook)
    dead_messages = await_answer(requests.webhooks.list_dead_messages)
    replay_webhook = await_answer(requests.webhooks.replay_webhook)
    rotate_webhook = await_answer(requests.webhooks.rotate_webhook)
    enable_webhook = await_answer(requests.webhooks.enable_webhook)

    # -- tokens and herald itself
    mint = await_answer(requests.tokens.mint)
    tokens = await_part(requests.tokens.list_tokens, lambda found: found.tokens)
    revoke = await_answer(requests.tokens.revoke)
    health = await_answer(requests.installation.get_health)
    caller = await_answer(requests.installation.get_caller)
    environments = await_answer(requests.installation.list_environments)
    audit = await_answer(requests.installation.list_audit)


@name_methods
class OrderClient(AsyncSender):
    """Prepares, confirms, lists and stops orders for many tasks.

    `selection` is `ids`, or `filter` and `query`, with `after` and `before`; options
    are `per_second`, `spread_seconds`, `include_rerun`, `queue`.
    """

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def send(self, request: Request[T]) -> T:
        """Send a request and return its decoded answer."""
        return await self._sender.send(request)

    prepare = await_answer(requests.orders.prepare)
    confirm = await_answer(requests.orders.confirm)
    list_newest = await_part(requests.orders.list_orders, lambda found: found.orders)
    get = await_answer(requests.orders.get)
    stop = await_answer(requests.orders.stop)
    purge = await_answer(requests.queues.purge_queue)
