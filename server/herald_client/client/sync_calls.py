"""One method for each route of the REST API, from threads."""

from __future__ import annotations

from herald_client import requests
from herald_client.client.calls import SyncSender, get_answer, get_part, name_methods
from herald_client.requests.request import Request, T


@name_methods
class SyncCalls(SyncSender):
    """The methods of a client that send one request each."""

    # -- tasks
    task = get_answer(requests.tasks.get_task)
    wait_once = get_answer(requests.tasks.wait_for_task)
    why = get_answer(requests.tasks.explain_task)
    tree = get_answer(requests.tasks.get_tree)
    result = get_answer(requests.tasks.get_result)
    suggest = get_answer(requests.tasks.suggest)
    stats = get_answer(requests.tasks.get_stats)
    start = get_answer(requests.tasks.start)
    retry = get_answer(requests.tasks.retry)
    cancel = get_answer(requests.tasks.cancel)

    # -- alerts
    alerts = get_answer(requests.alerts.list_alerts)
    test_alerts = get_answer(requests.alerts.send_test)
    silence_alerts = get_answer(requests.alerts.silence_alerts)
    delete_silence = get_answer(requests.alerts.delete_silence)

    # -- groups
    group = get_answer(requests.groups.get_group)
    groups = get_answer(requests.groups.list_groups)
    cancel_group = get_answer(requests.groups.cancel_group)

    # -- figures
    series = get_answer(requests.figures.get_series)
    types = get_answer(requests.figures.list_types)
    failing = get_answer(requests.figures.list_failing)
    suspects = get_answer(requests.figures.list_suspects)
    overview = get_answer(requests.figures.get_overview)
    failures = get_answer(requests.failures.list_failures)
    failure = get_answer(requests.failures.get_failure)

    # -- workers and queues
    get_worker = get_answer(requests.workers.get_worker)
    get_worker_history = get_answer(requests.workers.get_worker_history)
    order_worker = get_answer(requests.workers.order_worker)
    dismiss_worker = get_answer(requests.workers.dismiss_worker)
    queues = get_part(requests.queues.list_queues, lambda found: found.queues)
    pause_queue = get_answer(requests.queues.pause_queue)
    resume_queue = get_answer(requests.queues.resume_queue)

    # -- periodic tasks
    schedules = get_part(
        requests.schedules.list_schedules, lambda found: found.schedules
    )
    schedule = get_answer(requests.schedules.get_schedule)
    order_schedule = get_answer(requests.schedules.order_schedule)

    # -- deploys
    marks = get_part(requests.marks.list_marks, lambda found: found.marks)
    mark = get_answer(requests.marks.mark)
    delete_mark = get_answer(requests.marks.delete_mark)
    slower = get_answer(requests.marks.list_slower)
    compare = get_answer(requests.marks.compare)

    # -- webhooks
    webhooks = get_answer(requests.webhooks.list_webhooks)
    webhook = get_answer(requests.webhooks.get_webhook)
    register_webhook = get_answer(requests.webhooks.register_webhook)
    delete_webhook = get_answer(requests.webhooks.delete_webhook)
    dead_messages = get_answer(requests.webhooks.list_dead_messages)
    replay_webhook = get_answer(requests.webhooks.replay_webhook)
    rotate_webhook = get_answer(requests.webhooks.rotate_webhook)
    enable_webhook = get_answer(requests.webhooks.enable_webhook)

    # -- tokens and herald itself
    mint = get_answer(requests.tokens.mint)
    tokens = get_part(requests.tokens.list_tokens, lambda found: found.tokens)
    revoke = get_answer(requests.tokens.revoke)
    health = get_answer(requests.installation.get_health)
    caller = get_answer(requests.installation.get_caller)
    environments = get_answer(requests.installation.list_environments)
    audit = get_answer(requests.installation.list_audit)


@name_methods
class SyncOrderClient(SyncSender):
    """Prepares, confirms, lists and stops orders for many tasks.

    `selection` is `ids`, or `filter` and `query`, with `after` and `before`; options
    are `per_second`, `spread_seconds`, `include_rerun`, `queue`.
    """

    def __init__(self, sender: SyncSender) -> None:
        self._sender = sender

    def send(self, request: Request[T]) -> T:
        """Send a request and return its decoded answer."""
        return self._sender.send(request)

    prepare = get_answer(requests.orders.prepare)
    confirm = get_answer(requests.orders.confirm)
    list_newest = get_part(requests.orders.list_orders, lambda found: found.orders)
    get = get_answer(requests.orders.get)
    stop = get_answer(requests.orders.stop)
    purge = get_answer(requests.queues.purge_queue)
