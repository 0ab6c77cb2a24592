"""The subscriptions of one connection, and what they may hold of its token's limits.

Values of filters and kept changes are limited for all connections of a token together.
"""

from __future__ import annotations

from collections.abc import Iterator

from herald_server.auth.quotas.cpu_budget import Account, count_values
from herald_server.auth.quotas.response_slots import SnapshotTurn
from herald_server.auth.quotas.stalled_clients import StalledShare
from herald_server.auth.quotas.unread_bytes import HARD_MAX_BYTES
from herald_server.push.log.hub import Hub
from herald_server.push.protocol.limits import Limits
from herald_server.push.protocol.messages import BadMessage, SubscribeMessage
from herald_server.push.session.subscription import Subscription


class SubscriptionSet:
    """The subscriptions of a connection by id, in the order of their arrival."""

    __slots__ = ("_account", "_by_id", "_hub", "_limits", "_share", "turn")

    def __init__(self, hub: Hub, limits: Limits) -> None:
        self._hub = hub
        self._limits = limits
        self._by_id: dict[str, Subscription] = {}
        self._account = Account(0.0)
        self._share: StalledShare | None = None
        self.turn = SnapshotTurn(self._account.backlog)
        """Waited for before a snapshot is read."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._by_id.values())

    def add(self, sub: Subscription) -> None:
        """Add `sub`, whose id is free, and subscribe it to the hub."""
        sub.subscriber.share = self._share
        if self._share is not None:
            self._share.add(1)
        self._by_id[sub.request.id] = sub
        self._account.values += sub.weight
        self._hub.subscribe(sub.subscriber)

    def remove(self, id_: str) -> Subscription | None:
        """Remove the subscription `id_` and return it; None if there is none."""
        sub = self._by_id.pop(id_, None)
        if sub is not None:
            self._account.values -= sub.weight
            if self._share is not None:
                self._share.add(-1)
            self._hub.unsubscribe(sub.subscriber)
        return sub

    def has(self, sub: Subscription) -> bool:
        """Return True if `sub` was neither removed nor replaced."""
        return self._by_id.get(sub.request.id) is sub

    def check_limits(self, wish: SubscribeMessage) -> None:
        """Raise `BadMessage` if `wish` exceeds a limit of the connection or token."""
        limits = self._limits
        if len(self) >= limits.subs and wish.id not in self._by_id:
            raise BadMessage(
                "too_many",
                f"at most {limits.subs} subscriptions a connection; unsubscribe one",
                wish.id,
            )
        if wish.filter.ids and len(wish.filter.ids) > limits.ids_per_sub:
            raise BadMessage(
                "too_many", f"at most {limits.ids_per_sub} ids a subscription", wish.id
            )
        old = self._by_id.get(wish.id)
        more = count_values(wish.filter.size) - (old.weight if old else 0)
        if not self._account.can_add_values(more):
            raise BadMessage(
                "too_many",
                f"at most {self._account.max_values} values in the filters of all "
                "subscriptions of a token; unsubscribe some, or ask for wider ones",
                wish.id,
            )

    def count_for(self, account: Account) -> None:
        """Count the subscriptions for `account` from now on."""
        values = sum(sub.weight for sub in self)
        self._account.values -= values
        account.values += values
        self._account = account
        self.turn.backlog = account.backlog

    # -- a client that does not read -----------------------------------------

    def is_blocked(self, now: float) -> bool:
        """Return True while too many bytes of its token are unread to send more."""
        backlog = self._account.backlog
        return backlog.total > HARD_MAX_BYTES and backlog.stays_full(now)

    def stall(self) -> None:
        """Keep only a share of the changes: the client does not read."""
        if self._share is None:
            self._set_share(self._account.backlog.stalled)

    def resume(self) -> None:
        """Keep all changes: the client reads."""
        if self._share is not None:
            self._set_share(None)

    def _set_share(self, share: StalledShare | None) -> None:
        for old, sign in ((self._share, -1), (share, 1)):
            if old is not None:
                old.add(sign * len(self))
        self._share = share
        for sub in self:
            sub.subscriber.share = share

    def limit_to_share(self, now: float) -> None:
        """Restart each subscription that exceeds its share.

        Closes connections if too many bytes of the token are unread.
        """
        self._account.backlog.check(now)
        for sub in self:
            if self._share is not None and not sub.subscriber.reset:
                sub.subscriber.limit_to_share(self._share)

    def drop_pending(self, most: int) -> None:
        """Restart each subscription that has more than `most` pending changes."""
        for sub in self:
            if len(sub.subscriber.pending) > most:
                sub.subscriber.require_reset("slow")

    @property
    def held_bytes(self) -> int:
        """Approximate number of bytes that the subscriptions hold."""
        return sum(sub.held_bytes for sub in self)
