"""Whose rights a person gets."""

import pytest

from herald_core.model.filters import Filter
from herald_server.auth.sso.mapping import NoGroup, list_groups, make_identity
from herald_server.auth.sso.settings import SsoGroup

SRE = SsoGroup("sre", frozenset(["read", "admin"]))
DEV = SsoGroup("dev", frozenset(["read"]), Filter(name=("reports.*",)))


def test_the_first_known_group_counts() -> None:
    who = make_identity("ann", ["dev", "sre"], [SRE, DEV], 9.0)
    assert (who.scopes, who.task_filter, who.expires) == (SRE.scopes, None, 9.0)
    assert make_identity("bob", ["dev"], [SRE, DEV], 9.0).task_filter == DEV.only


def test_nobody_of_no_group_comes_in() -> None:
    with pytest.raises(NoGroup, match="eve is in none of the groups"):
        make_identity("eve", ["sales"], [SRE, DEV], 9.0)


def test_a_name_is_no_name_of_a_token() -> None:
    who = make_identity("a/b", ["sre"], [SRE], 9.0)
    assert who.name == "sso:a%2Fb"


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        (["a", "b", 1], ["a", "b"]),
        ("a, b", ["a", "b"]),
        ({"a": 1}, []),
        (None, []),
    ],
)
def test_groups_come_as_a_list_or_a_text(claim: object, groups: list[str]) -> None:
    assert list_groups({"groups": claim}, "groups") == groups
