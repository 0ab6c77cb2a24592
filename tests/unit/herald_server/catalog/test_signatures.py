"""A herald.toml from signatures: what is written is read back, and checks like them."""

from __future__ import annotations

import enum
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NewType,
    Optional,
    Union,
    cast,
)
from uuid import UUID

import pytest
from celery import Celery, Task
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from herald_server.catalog.catalog import Catalog, CatalogError
from herald_server.catalog.signatures import list_params, list_types, parse_hint
from herald_server.catalog.toml_writer import format_value, make_short_names, to_toml
from herald_server.catalog.types import NO_DEFAULT
from herald_server.cli.main import cli

if TYPE_CHECKING:
    from decimal import Decimal as Unknown

TODAY = date(2026, 11, 22)


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Model(BaseModel):
    n: int


Count = NewType("Count", int)

HINTS: list[tuple[Any, dict[str, object]]] = [
    (int, {"type": "integer"}),
    (bool, {"type": "boolean"}),
    (float, {"type": "number"}),
    (str, {"type": "string"}),
    (date, {"type": "string", "format": "date"}),
    (datetime, {"type": "string", "format": "date-time"}),
    (list[int], {"type": "array"}),
    (tuple[int, ...], {"type": "array"}),
    (dict[str, int], {"type": "object"}),
    (Mapping[str, int], {"type": "object"}),
    (Model, {"type": "object"}),
    (Count, {"type": "integer"}),
    (Annotated[int, "more"], {"type": "integer"}),
    (Optional[int], {"type": "integer", "nullable": True}),  # noqa: UP045
    (int | None, {"type": "integer", "nullable": True}),
    (Union[int, float], {"type": "number"}),  # noqa: UP007
    (int | str, {"type": "any"}),
    (Literal["a", "b"], {"type": "string", "enum": ("a", "b")}),
    (Literal["a", None], {"type": "string", "enum": ("a",), "nullable": True}),
    (Literal["a", 1], {"type": "any"}),
    (Level, {"type": "string", "enum": ("low", "high")}),
    (Level | None, {"type": "string", "enum": ("low", "high"), "nullable": True}),
    (Any, {"type": "any"}),
    (object, {"type": "any"}),
    (UUID, {"type": "any"}),
    ("no hint", {"type": "any"}),
]


@pytest.mark.parametrize(("hint", "says"), HINTS)
def test_a_hint_in_the_words_of_json_schema(
    hint: object, says: dict[str, object]
) -> None:
    told = parse_hint(hint)._asdict()
    assert {k: v for k, v in told.items() if v not in (None, False)} == says


def _unread(a: Unknown, b: int, c: "int" = 3) -> None: ...  # noqa: UP037


def test_hints_that_cannot_be_read_do_not_hide_the_others() -> None:
    told = {param.name: (param.type, param.required) for param in list_params(_unread)}
    assert told == {"a": ("any", True), "b": ("integer", True), "c": ("integer", False)}


@pytest.fixture(scope="module")
def app() -> Celery:
    """An app with a task of each kind."""
    made = Celery("signed", set_as_current=False, broker="memory://")

    @made.task(name="shop.pay", shared=False)
    def pay(  # type: ignore[no-untyped-def]
        order: str,
        amount: float,
        level: Level = Level.LOW,
        items: list[str] | None = None,
        since: date | None = None,
        options: dict[str, int] = {"a": 1},  # noqa: B006
        count=3,  # pyright: ignore[reportMissingParameterType]
        thing=object(),  # noqa: B008  # pyright: ignore[reportMissingParameterType]
        *more: int,
        dry: bool = False,
        **rest: object,
    ) -> None:
        """Pay an order
        at once.

        And more.
        """

    @made.task(name="shop.bound", bind=True, shared=False)
    def bound(self: Any, n: int) -> None:
        """Know itself."""

    @made.task(name="other.bound", bind=True, pydantic=True, shared=False)
    def modelled(self: Any, model: Model, n: int = 1) -> None: ...

    class Whole(Task):  # type: ignore[type-arg]
        name = "shop.whole"

        def run(self, path: str, times: Literal[1, 2] = 1) -> None: ...

    made.register_task(Whole())
    cast(Any, made.tasks["shop.pay"]).queue = "money"
    return made


def _read(app: Celery, folder: Path) -> Catalog:
    path = folder / "herald.toml"
    path.write_text(to_toml(list_types(app)), encoding="utf-8")
    return Catalog.from_toml(path)


def test_what_is_written_is_read_back_and_checks(app: Celery, tmp_path: Path) -> None:
    catalog = _read(app, tmp_path)
    # An app has the shared tasks of every module that was imported as well.
    ours = (
        kind for kind in catalog if kind.celery_name.startswith(("shop.", "other."))
    )
    assert {kind.name: kind.celery_name for kind in ours} == {
        "other_bound": "other.bound",
        "pay": "shop.pay",
        "shop_bound": "shop.bound",
        "whole": "shop.whole",
    }
    pay = catalog["pay"]
    assert (pay.description, pay.queue) == ("Pay an order at once", "money")
    checked = catalog.check_params("pay", {"order": "o", "amount": 2}, TODAY)
    assert checked == {
        **{"order": "o", "amount": 2, "level": "low", "options": {"a": 1}},
        **{"count": 3, "dry": False},
    }
    nothing = {"order": "o", "amount": 2, "items": None, "since": None}
    assert catalog.check_params("pay", nothing, TODAY)["items"] is None
    assert catalog.check_params("pay", {**nothing, "thing": [1, "x"]}, TODAY)
    for wrong, said in (
        ({}, "order parameter required"),
        ({**nothing, "amount": "2"}, "amount must be a number"),
        ({**nothing, "level": "huge"}, "level must be one of low, high"),
        ({**nothing, "since": "monday"}, "since must be a date"),
        ({**nothing, "more": 1}, "unknown parameter 'more'"),
    ):
        with pytest.raises(CatalogError, match=said):
            catalog.check_params("pay", wrong, TODAY)
    assert [p.name for p in catalog["shop_bound"].params] == ["n"]
    assert [(p.name, p.type) for p in catalog["other_bound"].params] == [
        ("model", "object"),
        ("n", "integer"),
    ]
    assert catalog.check_params("whole", {"path": "x"}, TODAY) == {
        "path": "x",
        "times": 1,
    }


plain = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=8,
)


@given(plain)
def test_each_value_is_toml(one: object) -> None:
    assert tomllib.loads(f"x = {format_value(one)}")["x"] == one


@given(st.lists(st.text(min_size=1), unique=True))
def test_each_task_has_a_name_of_its_own(names: list[str]) -> None:
    found = make_short_names(names)
    assert len({*found.values()}) == len(names)


def test_the_command_writes_to_a_new_file_only(tmp_path: Path) -> None:
    (tmp_path / "signed_shop.py").write_text(
        "from celery import Celery\n"
        "app = Celery('signed_shop', broker='memory://', include=['signed_more'])\n"
    )
    (tmp_path / "signed_more.py").write_text(
        "from signed_shop import app\n"
        "@app.task\n"
        "def greet(name: str, times: int = 2) -> None: ...\n"
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "herald_server", "catalog", *words]
        return subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    told = run("-A", "signed_shop")
    assert told.returncode == 0, told.stderr
    tables = tomllib.loads(told.stdout)["task_types"]
    assert tables["greet"]["celery_name"] == "signed_more.greet"
    assert tables["greet"]["params"] == {
        "name": {"type": "string", "required": True},
        "times": {"type": "integer", "default": 2},
    }
    made = tmp_path / "herald.toml"
    assert run("-A", "signed_shop", "--output", str(made)).returncode == 0
    assert made.read_text() == told.stdout
    again = run("-A", "signed_shop", "--output", str(made))
    assert (again.returncode, "exists" in again.stderr) == (1, True)


def test_the_command_needs_an_app() -> None:
    told = CliRunner(env={"HERALD_APP": ""}).invoke(cli, ["catalog"])
    assert told.exit_code == 1
    assert "give -A PROJECT" in told.stderr


def test_what_has_no_plain_default_is_left_to_the_task(app: Celery) -> None:
    [pay] = [kind for kind in list_types(app) if kind.name == "shop.pay"]
    thing = next(param for param in pay.params if param.name == "thing")
    assert (thing.type, thing.required, thing.default) == ("any", False, NO_DEFAULT)
