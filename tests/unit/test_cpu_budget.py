"""What an account of CPU time permits, and to whom it belongs."""

import pytest

from herald_server.auth import Identity
from herald_server.cpu_budget import BURST_S, GRANT_S, MAX_DEBT_S, Account, Accounts


def spent(share: float = 0.25) -> Account:
    """Return an account of which all is taken at the moment 0."""
    account = Account(share)
    account.charge(BURST_S, 0.0)
    return account


def test_so_much_may_be_taken_at_once() -> None:
    assert spent().debt(0.0) == 0.0


def test_what_is_taken_beyond_is_owed() -> None:
    account = spent()
    account.charge(0.5, 0.0)
    assert account.debt(0.0) == pytest.approx(0.5)


def test_a_debt_is_paid_with_time() -> None:
    account = spent(share=0.25)
    account.charge(0.5, 0.0)
    assert account.debt(1.0) == pytest.approx(0.25)
    assert account.debt(2.0) == 0.0


def test_a_debt_has_a_bound() -> None:
    account = spent()
    account.charge(100.0, 0.0)
    assert account.debt(0.0) == MAX_DEBT_S


def test_what_nobody_else_wants_is_given() -> None:
    account = spent()
    account.charge(0.5, 0.0)
    account.grant()
    assert account.debt(0.0) == 0.0
    account.charge(GRANT_S + 0.1, 0.0)
    assert account.debt(0.0) == pytest.approx(0.1)


def test_rest_saves_no_more_than_the_burst() -> None:
    account = Account(0.25)
    account.charge(BURST_S + 0.1, 1e6)
    assert account.debt(1e6) == pytest.approx(0.1)


def test_without_a_share_nothing_is_owed() -> None:
    account = spent(share=0.0)
    account.charge(1.0, 0.0)
    assert account.debt(0.0) == 0.0


def test_tokens_of_the_settings_and_each_made_from_them_pay_for_themselves() -> None:
    accounts = Accounts()
    names = ("owner", "owner/a", "owner/b", "herald:reader", "jwt:ann")
    payers = [accounts.by_token(Identity(name)) for name in names]
    assert len(set(payers)) == len(names)
    assert payers == [accounts.by_token(Identity(name)) for name in names]


def test_what_a_minted_token_mints_is_its_own() -> None:
    accounts = Accounts()
    minted = accounts.by_token(Identity("owner/a"))
    assert accounts.by_token(Identity("owner/a/b")) is minted
    assert accounts.by_token(Identity("owner/a/b/c")) is minted


def test_an_address_is_no_token() -> None:
    accounts = Accounts(per_token=0.25, per_address=0.1)
    unknown, known = accounts.by_address("owner"), accounts.by_token(Identity("owner"))
    assert (unknown.share, known.share) == (0.1, 0.25)


def test_accounts_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("herald_server.cpu_budget.MAX_ACCOUNTS", 2)
    accounts = Accounts()
    watching, idle = accounts.by_address("a"), accounts.by_address("b")
    watching.values = 1
    accounts.by_address("c")
    assert accounts.by_address("a") is watching
    assert accounts.by_address("b") is not idle
