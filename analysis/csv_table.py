"""A CSV that somebody made, as text with line numbers: errors name the file and the line."""

import csv
import io
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

_MISSING: Final = frozenset({"", "nan", "na", "n/a", "-", "–", "—"})
_OTHER_SEPARATORS: Final = {";": "semicolons", "\t": "tabs"}


def read_text_table(path: Path) -> pd.DataFrame:
    """Cells as stripped text; column names in lower case; the index is each row's line.

    Empty rows are passed over, as spreadsheets write them below their tables.

    Raises:
        ValueError: if the file cannot be read, is not comma-separated UTF-8 (with or without
            a byte order mark), has no rows, a column without a name or a name twice, or a
            row that is longer or shorter than the header.
    """
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), strict=True)
    lines, rows = [], []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                lines.append(reader.line_num)
                rows.append(cells)
    except csv.Error as error:
        raise ValueError(
            f"a file must be CSV, got {path}, line {reader.line_num}: {error}"
        ) from None
    if len(rows) < 2:
        raise ValueError(
            f"a table must have a header and rows, got {len(rows)} "
            f"line{'s'[: len(rows) != 1]} in {path}"
        )
    header = [name.lower() for name in rows[0]]
    _check_header(header, path)
    for line, cells in zip(lines, rows, strict=True):
        if len(cells) != len(header):
            raise ValueError(
                f"a row must have as many cells as the header, {len(header)}, got {len(cells)} in "
                f'{path}, line {line}; write decimal points, and "quote" cells that hold commas'
            )
    return pd.DataFrame(rows[1:], columns=header, index=pd.Index(lines[1:], name="line"), dtype=str)


def read_numbers(table: pd.DataFrame, column: str, path: Path) -> pd.Series:
    """A column as numbers; NaN where the cell is empty, a dash, ``NaN`` or ``NA``.

    Raises:
        ValueError: if a cell holds other text, or an infinite number.
    """
    missing = table[column].str.lower().isin(_MISSING)
    values = pd.to_numeric(table[column].mask(missing), errors="coerce").astype(np.float64)
    for wrong in (values.isna() & ~missing, np.isinf(values)):
        if wrong.any():
            line, text = next(table.loc[wrong, column].items())
            raise ValueError(
                f"column {column} must hold finite numbers, got {text!r} in "
                f"{path}, line {line}; leave the cell empty where there is no value"
            )
    return values


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"a table must be a readable file, got {path}: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"a table must be CSV in UTF-8, got byte 0x{content[error.start]:02x} in {path}, "
            f"line {line}; save it as CSV UTF-8"
        ) from None


def _check_header(header: list[str], path: Path) -> None:
    if len(header) == 1:
        for separator, name in _OTHER_SEPARATORS.items():
            if separator in header[0]:
                raise ValueError(
                    f"columns must be separated by commas, got {name} in {path}; save it with "
                    "commas between cells and points in numbers"
                )
    if "" in header:
        raise ValueError(
            f"every column must have a name, got none for column {header.index('') + 1} in {path}; "
            "name it or take it out (pandas writes one with index=True)"
        )
    twice = [name for number, name in enumerate(header) if name in header[:number]]
    if twice:
        raise ValueError(f"a column must be there once, got {twice[0]} twice in {path}")
