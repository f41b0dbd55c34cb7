"""The gathered tables as typed data frames."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from certifuse.base.errors import UserError
from certifuse.base.manifest import check_as_written


class Frames:
    """The tables that a figure or a table is made of: a data frame under each of their names."""

    def __init__(self, **tables: pd.DataFrame) -> None:
        self.__dict__.update(tables)

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Raise AttributeError: Python asks here for a table only where it was not read."""
        raise AttributeError(f"frames: expected one of the tables {', '.join(self.__dict__)}, found {name}")


@dataclass(frozen=True)
class Schema:
    """The form that a file must have.

    Args:
        columns: its columns and their types; a file may have more.
        holding: what is true of every row of a true file, in words that name the columns.
        identity: columns that tell a row from the others, for messages.
        optional: columns that a file may lack; they are then without a value.
    """

    columns: Mapping[str, str]
    holding: Callable[[pd.DataFrame], dict[str, "pd.Series[bool]"]] = lambda _: {}
    identity: tuple[str, ...] = ()
    optional: Collection[str] = ()


def read_frames(files: Mapping[str, Path], schemas: Mapping[str, Schema]) -> Frames:
    """Read each file by the schema of its name.

    Raises:
        UserError: as `read_frame`.
    """
    return Frames(**{name: read_frame(path, schemas[name]) for name, path in files.items()})


def read_frame(path: Path, schema: Schema) -> pd.DataFrame:
    """Read a CSV file; an empty text field is "", an empty number is NaN.

    A file without rows gives an empty frame, whatever its header.

    Raises:
        UserError: a column is absent, a value does not have its type, a row contradicts itself or another, or the file
            is not as it was written.
    """
    check_as_written(path)
    columns = schema.columns
    try:
        frame = pd.read_csv(path, dtype=dict(columns), keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    if frame.empty:
        return empty_frame(schema)
    absent = [name for name in columns if name not in frame.columns]
    if needed := [name for name in absent if name not in schema.optional]:
        raise UserError(f"{path}: expected the columns {', '.join(columns)}, found none called {', '.join(needed)}")
    frame = frame.assign(**{name: pd.Series(index=frame.index, dtype=columns[name]) for name in absent})
    texts = [name for name, kind in columns.items() if kind == "str"]
    frame = frame.fillna(dict.fromkeys(texts, ""))
    for expected, holds in schema.holding(frame).items():
        wrong = frame[~holds.fillna(False).astype(bool)]
        if not wrong.empty:
            named = (*schema.identity, *(name for name in columns if name in expected.split()))
            found = ", ".join(f"{name} {wrong.iloc[0][name]}" for name in dict.fromkeys(named))
            line = int(wrong.index[0]) + 2
            raise UserError(f"{path}: line {line}: expected {expected}; found {found}: gather the study again")
    return frame


def rows_with(frame: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows that have these values, by column; None is no value, and `lam` stands for the column `lambda`."""
    chosen = pd.Series(True, index=frame.index)
    for name, value in values.items():
        column = frame["lambda" if name == "lam" else name]
        chosen &= (column.isna() if value is None else column == value).fillna(False).astype(bool)
    return frame[chosen]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries; what has no value is None."""
    plain = frame.astype(object)
    rows: list[dict[str, Any]] = plain.where(plain.notna(), None).to_dict("records")
    return rows


def empty_frame(schema: Schema) -> pd.DataFrame:
    """A table without rows."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in schema.columns.items()})
