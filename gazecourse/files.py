"""Files that are either whole or absent: what a full disk or a cut-off run must never leave half-written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gazecourse.errors import CourseError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to write to; it becomes ``path`` once it is complete and on disk.

    Whatever goes wrong, the temporary file is removed and an older file at ``path`` stays as it was.

    Raises:
        CourseError: the system refused (disk full, no permission); the message names the file and the reason.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise CourseError(f"{path} could not be written: {error.strerror or error}. Nothing was changed.") from error
