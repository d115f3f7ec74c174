"""`spanscript sql`."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeVar

from spanscript._exchange import Json
from spanscript._text import clean
from spanscript.cli import _source, _views
from spanscript.cli._table import Cell, print_table
from spanscript.transcript.lines import TranscriptError, files_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_T = TypeVar("_T")

EXAMPLE: Final = (
    'spanscript sql "select model, count(*), sum(output_tokens) from calls group by all" --dir ./run'
)

_MEMORY: Final = "2GB"
_THREADS: Final = 4
"""Each needs memory for thousands of lines at once."""

_ROWS: Final = 1000
"""Rows of a table for people."""

_FETCHED: Final = 500
"""Rows that are fetched at once."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "query", metavar="QUERY", nargs="?", help="one SELECT, as DuckDB has it; `-`: from stdin"
    )
    parser.add_argument("--schema", action="store_true", help="print the tables and their columns instead")
    parser.add_argument("--csv", action="store_true", help="print CSV")
    parser.add_argument(
        "--memory", default=_MEMORY, help=f"what DuckDB may take before it uses the disk (default: {_MEMORY})"
    )
    parser.add_argument(
        "--allow-files", action="store_true", help="let the query read other files, and the network"
    )
    _source.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print what a query finds. Lines that cannot be read are told of, as by every command."""
    if args.schema:
        _answer([os.devnull], _SCHEMA, args)
        return 0
    _answer([os.path.realpath(file) for file in files_of(_source.path_of(args))], _query(args), args)
    sys.stdout.flush()
    return _source.code_after(_source.load(args))


def _answer(files: Sequence[str], query: str, args: argparse.Namespace) -> None:
    with _database(files, args) as base:
        columns, rows = _asked(base, query)
        show = _print_json if args.json else _print_csv if args.csv else _print_table
        show(columns, rows)


_SCHEMA: Final = (
    'SELECT table_name AS "table", column_name AS "column", data_type AS type FROM information_schema.columns'
    f" WHERE table_name IN {_views.VIEWS}"
    f" ORDER BY list_position({list(_views.VIEWS)}, table_name), ordinal_position"
)


def _query(args: argparse.Namespace) -> str:
    if args.query is None:
        raise TranscriptError("no query is given: give a SELECT, or --schema to see what can be asked")
    return sys.stdin.read() if args.query == "-" else str(args.query)


@contextlib.contextmanager
def _database(files: Sequence[str], args: argparse.Namespace) -> Iterator[DuckDBPyConnection]:
    """
    A database with the views, which afterwards can reach nothing but the files of the transcript.

    Raises:
        TranscriptError: DuckDB is missing, or refuses a setting or the query.
    """
    if find_spec("duckdb") is None:
        raise TranscriptError("`spanscript sql` needs DuckDB: pip install 'spanscript[sql]'")
    import duckdb  # noqa: PLC0415  # optional, and slow to import

    with tempfile.TemporaryDirectory(prefix="spanscript-sql-") as spill:
        try:
            with duckdb.connect(":memory:") as base:
                _set(base, "memory_limit", args.memory)
                _set(base, "threads", min(_THREADS, os.cpu_count() or 1))
                _set(base, "temp_directory", spill)
                _set(base, "preserve_insertion_order", value=False)
                _set(base, "enable_progress_bar", value=False)  # it is printed among the rows
                for statement in _views.statements(files):
                    base.execute(statement)
                if not args.allow_files:
                    _set(base, "allowed_paths", [*files, *map(_views.pattern, files)])
                    _set(base, "enable_external_access", value=False)
                _set(base, "lock_configuration", value=True)
                yield base
        except duckdb.Error as error:
            said = str(error).partition("\n\n")[0]  # then it shows the query
            raise TranscriptError(f"DuckDB: {' '.join(said.split())}") from error


def _set(base: DuckDBPyConnection, name: str, value: Any) -> None:
    base.execute(f"SET {name} = ?", [value])


def _asked(base: DuckDBPyConnection, query: str) -> tuple[list[tuple[str, str]], Iterator[Sequence[Any]]]:
    """Name and type of each column, and the rows. Only a SELECT is run: nothing else leaves files alone."""
    import duckdb  # noqa: PLC0415

    found = base.extract_statements(query)
    if [statement.type for statement in found] != [duckdb.StatementType.SELECT]:
        raise TranscriptError("one SELECT can be asked at a time; this is something else")
    result = _interruptible(base, partial(base.execute, found[0]))
    columns = [(str(name), str(kind)) for name, kind, *_ in result.description or ()]
    return columns, _rows(result)


def _rows(result: DuckDBPyConnection) -> Iterator[Sequence[Any]]:
    while rows := _interruptible(result, partial(result.fetchmany, _FETCHED)):
        yield from rows


def _interruptible(base: DuckDBPyConnection, work: Callable[[], _T]) -> _T:
    """What DuckDB is to do, in a thread: in this one, Ctrl-C would not be heard before it is done."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            base.interrupt()
            raise


def _print_table(columns: Sequence[tuple[str, str]], rows: Iterator[Sequence[Any]]) -> None:
    shown: list[list[Cell]] = []
    for row in rows:
        if len(shown) == _ROWS:
            print(f"spanscript: the first {_ROWS} rows; --csv or --json gives all", file=sys.stderr)
            break
        shown.append([_cell(value) for value in row])
    print_table([clean(name, one_line=True) for name, _ in columns], shown)


def _print_json(columns: Sequence[tuple[str, str]], rows: Iterator[Sequence[Any]]) -> None:
    before = "["
    for row in rows:
        record = {
            name: json.loads(value) if kind == "JSON" and value is not None else _json_value(value)
            for (name, kind), value in zip(columns, row, strict=True)
        }
        text = json.dumps(record).replace("\x7f", "\\u007f")
        print(f"{before}\n  {text}", end="")
        before = ","
    print("[]" if before == "[" else "\n]")


def _print_csv(columns: Sequence[tuple[str, str]], rows: Iterator[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([clean(name) for name, _ in columns])
    for row in rows:
        writer.writerow([clean(value) if isinstance(value, str) else _cell(value) for value in row])


def _cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, (str, int, float)):
        return value
    plain = _json_value(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _json_value(value: Any) -> Json:
    """What DuckDB gives, as JSON has it: times in ISO 8601 (UTC), intervals in seconds, others as text."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    return next((write(value) for kind, write in _WRITE if isinstance(value, kind)), str(value))


_WRITE: Final[tuple[tuple[type, Callable[[Any], Json]], ...]] = (
    (datetime, lambda value: f"{value.isoformat(timespec='microseconds').removesuffix('+00:00')}Z"),
    (date, date.isoformat),
    (timedelta, timedelta.total_seconds),
)
