"""MATLAB files up to version 7, read with an error that names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io

from gazecourse.errors import CourseError


def load_mat(path: Path, how_to_get: str) -> dict[str, np.ndarray]:
    """Everything in a MATLAB file, by name.

    Args:
        how_to_get: a sentence on where the file comes from; ends the messages.
    Raises:
        FileNotFoundError, CourseError: it is missing, or cannot be read as one.
    """
    try:
        with path.open("rb") as file:
            return scipy.io.loadmat(file)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing. Unpack it again. {how_to_get}") from error
    except Exception as error:  # SciPy has no one error for what a damaged file may hold
        raise CourseError(
            f"{path} cannot be read as a MATLAB file; it is cut off, or of another release ({error}). "
            f"Unpack it again. {how_to_get}"
        ) from error
