"""What an account of CPU time permits, and to whom it belongs."""

import pytest

from herald_server.auth.identity import Identity
from herald_server.auth.quotas.cpu_budget import (
    BURST_S,
    GRANT_SIZE_S,
    MAX_DEBT_S,
    Account,
    AccountRegistry,
)


def spent(share: float = 0.25) -> Account:
    """Return an account of which all is taken at the moment 0."""
    account = Account(share)
    account.charge(BURST_S, 0.0)
    return account


def test_so_much_may_be_taken_at_once() -> None:
    assert spent().compute_debt(0.0) == 0.0


def test_what_is_taken_beyond_is_owed() -> None:
    account = spent()
    account.charge(0.5, 0.0)
    assert account.compute_debt(0.0) == pytest.approx(0.5)


def test_a_debt_is_paid_with_time() -> None:
    account = spent(share=0.25)
    account.charge(0.5, 0.0)
    assert account.compute_debt(1.0) == pytest.approx(0.25)
    assert account.compute_debt(2.0) == 0.0


def test_a_debt_has_a_bound() -> None:
    account = spent()
    account.charge(100.0, 0.0)
    assert account.compute_debt(0.0) == MAX_DEBT_S


def test_what_nobody_else_wants_is_given() -> None:
    account = spent()
    account.charge(0.5, 0.0)
    account.forgive()
    assert account.compute_debt(0.0) == 0.0
    account.charge(GRANT_SIZE_S + 0.1, 0.0)
    assert account.compute_debt(0.0) == pytest.approx(0.1)


def test_rest_saves_no_more_than_the_burst() -> None:
    account = Account(0.25)
    account.charge(BURST_S + 0.1, 1e6)
    assert account.compute_debt(1e6) == pytest.approx(0.1)


def test_without_a_share_nothing_is_owed() -> None:
    account = spent(share=0.0)
    account.charge(1.0, 0.0)
    assert account.compute_debt(0.0) == 0.0


def test_tokens_of_the_settings_and_each_made_from_them_pay_for_themselves() -> None:
    accounts = AccountRegistry()
    names = ("owner", "owner/a", "owner/b", "herald:reader", "jwt:ann")
    payers = [accounts.for_identity(Identity(name)) for name in names]
    assert len(set(payers)) == len(names)
    assert payers == [accounts.for_identity(Identity(name)) for name in names]


def test_what_a_minted_token_mints_is_its_own() -> None:
    accounts = AccountRegistry()
    minted = accounts.for_identity(Identity("owner/a"))
    assert accounts.for_identity(Identity("owner/a/b")) is minted
    assert accounts.for_identity(Identity("owner/a/b/c")) is minted


def test_an_address_is_no_token() -> None:
    accounts = AccountRegistry(per_token=0.25, per_address=0.1)
    unknown, known = (
        accounts.for_address("owner"),
        accounts.for_identity(Identity("owner")),
    )
    assert (unknown.share, known.share) == (0.1, 0.25)


def test_accounts_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("herald_server.auth.quotas.cpu_budget.MAX_ACCOUNTS", 2)
    accounts = AccountRegistry()
    watching, idle = accounts.for_address("a"), accounts.for_address("b")
    watching.values = 1
    accounts.for_address("c")
    assert accounts.for_address("a") is watching
    assert accounts.for_address("b") is not idle
