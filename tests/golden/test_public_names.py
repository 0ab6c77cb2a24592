"""The names that `herald_client` and `herald_worker` export."""

from __future__ import annotations

from importlib import import_module

from tests.golden.comparison import compare

PACKAGES = ("herald_client", "herald_worker")


def test_names_that_packages_export() -> None:
    told: dict[str, list[str]] = {}
    for name in PACKAGES:
        package = import_module(name)
        exported: list[str] = list(package.__all__)
        assert all(hasattr(package, one) for one in exported)
        told[name] = sorted(exported)
    compare("public-names.json", told)
