"""Exported tasks: formats, columns, and cells that are no formulas."""

import csv
import io
import json

import pytest

from herald_core.errors import InvalidInput
from herald_core.model.tasks.views import TaskView
from herald_server.insight.search.export_rows import (
    DEFAULT_COLUMNS,
    ExportSummary,
    ExportWriter,
    parse_columns,
    parse_format,
)

TASKS = [
    TaskView(id="a", args="(1, 'x')", runtime=-1.5, tags=("t,1", "t2")),
    TaskView(id="b", state="PENDING", submitted_at="1970-01-01T00:00:00Z"),
]
WHOLE = ExportSummary(exported=2, searched=9, whole=True)
PART = ExportSummary(exported=2, searched=9, whole=False, message="not whole: x")


def export(format_: str, columns: tuple[str, ...], summary: ExportSummary) -> str:
    writer = ExportWriter(format_, columns, 60.0)
    pieces = [writer.begin(), *(writer.format_tasks([task]) for task in TASKS)]
    return b"".join([*pieces, writer.end(summary)]).decode()


def test_csv_has_a_head_and_a_row_a_task() -> None:
    text = export("csv", ("id", "args", "runtime", "tags", "wait"), WHOLE)
    assert list(csv.reader(io.StringIO(text))) == [
        ["id", "args", "runtime", "tags", "wait"],
        ["a", "(1, 'x')", "-1.5", "t,1, t2", ""],
        ["b", "", "", "", "60.0"],
    ]


def test_csv_that_is_not_whole_says_so_in_its_last_row() -> None:
    rows = list(csv.reader(io.StringIO(export("csv", ("id",), PART))))
    assert rows[-1] == ["# not whole: x"]


@pytest.mark.parametrize("text", ["=cmd|x", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    writer = ExportWriter("csv", ("kwargs",), 0.0)
    row = writer.format_tasks([TaskView(id="a", kwargs=text)]).decode()
    [[cell]] = csv.reader(io.StringIO(row, newline=""))
    assert cell == f"'{text}"


def test_json_is_one_document_with_a_trailer() -> None:
    found = json.loads(export("json", ("id", "runtime"), PART))
    assert found["tasks"] == [{"id": "a", "runtime": -1.5}, {"id": "b"}]
    assert found["export"] == {
        "exported": 2, "searched": 9, "whole": False, "message": "not whole: x",
    }  # fmt: skip


def test_ndjson_is_a_task_a_line_and_a_trailer() -> None:
    lines = [json.loads(one) for one in export("ndjson", ("id",), WHOLE).splitlines()]
    trailer = {"export": {"exported": 2, "searched": 9, "whole": True}}
    assert lines == [{"id": "a"}, {"id": "b"}, trailer]


def test_columns_and_formats_that_there_are_not_are_refused() -> None:
    assert parse_columns(None) == DEFAULT_COLUMNS
    assert parse_columns("id, args,id") == ("id", "args")
    with pytest.raises(InvalidInput, match="unknown column 'x'; columns are id"):
        parse_columns("id,x")
    assert parse_format(None) == "csv"
    with pytest.raises(InvalidInput, match="format is one of csv"):
        parse_format("xls")
