"""Numbers as compact formats pack them: bytes and quaternions of which three components are kept."""

import numpy as np

_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])  # beside each component, ascending


def smallest_three(quaternions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which component (N,) of unit quaternions (N, 4) is the largest, and the three others (N, 3) in order, their signs
    turned so that the largest is positive."""
    largest = np.abs(quaternions).argmax(axis=1)
    rows = np.arange(len(quaternions))
    others = quaternions[rows[:, None], _OTHERS[largest]]
    return largest, np.where((quaternions[rows, largest] < 0)[:, None], -others, others)


def from_smallest_three(largest: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, 4) unit quaternions, float32, in the order of components that the numbers `largest` (N,) count in."""
    result = np.empty((len(others), 4), np.float32)
    rows = np.arange(len(others))
    result[rows[:, None], _OTHERS[largest]] = others
    result[rows, largest] = np.sqrt(np.maximum(0, 1 - np.einsum("ni,ni->n", others, others)))
    return result


def rounded(values: np.ndarray) -> np.ndarray:
    """To whole numbers, halves away from zero, as C's round."""
    return np.copysign(np.floor(np.abs(values) + values.dtype.type(0.5)), values)


def as_bytes(values: np.ndarray) -> np.ndarray:
    """Rounded and held within 0..255."""
    return np.clip(rounded(values), 0, 255).astype(np.uint8)
