"""Values of JSON documents that strangers wrote: read by what they must be, or refused by their key.

A key that is missing and one whose value is null are the same. All functions raise ValueError, whose text begins with
the key: "fl_x is not a number".
"""

import json
import math
from pathlib import Path

import numpy as np

from ...files import open_regular


def read_json(path: Path) -> object:
    """What a JSON file holds. Raises OSError when it cannot be read, ValueError when it is not JSON."""
    with open_regular(path) as file:
        content = file.read()
    try:
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def is_said(values: dict, key: str) -> bool:
    """Whether there is a value."""
    return values.get(key) is not None


def number(values: dict, key: str, otherwise: float | None = None) -> float:
    """A finite number; `otherwise` where none is said, and without one, that is an error, too."""
    if not is_said(values, key):
        if otherwise is None:
            raise ValueError(f"{key} is missing")
        return otherwise
    return _finite(values[key], key)


def text(values: dict, key: str, otherwise: str = "") -> str:
    """A text that can be written as UTF-8."""
    return _text(values[key], key) if is_said(values, key) else otherwise


def texts(values: dict, key: str) -> list[str]:
    """A list of texts; an empty one where none is said."""
    value = values[key] if is_said(values, key) else []
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list")
    return [_text(each, key) for each in value]


def matrix(values: dict, key: str) -> np.ndarray:
    """(rows, columns) of finite numbers."""
    if not is_said(values, key):
        raise ValueError(f"{key} is missing")
    rows = values[key]
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise ValueError(f"{key} is not a matrix")
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"{key} has rows of different lengths")
    return np.array([[_finite(value, key) for value in row] for row in rows])


def _text(value: object, key: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key} is not a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{key} contains half a character") from None
    return value


def _finite(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} is not a number")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"{key} contains a value that is not finite")
    return result
