"""Files that are either whole or absent: what a full disk or a cut-off run must never leave half-written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
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


def write_checked(path: Path, content: bytes, description: dict) -> None:
    """Put ``content`` at ``path`` and, after it, what it is and its SHA-256 beside it, as JSON.

    Args:
        path: its ending is replaced by ``.json`` for the second file.
        description: JSON values; "sha256" is added.
    Raises:
        CourseError: the system refused. No half-written file is left.
    """
    described = {**description, "sha256": hashlib.sha256(content).hexdigest()}
    for place, text in ((path, content), (path.with_suffix(".json"), json.dumps(described, indent=1).encode())):
        with atomic_write(place) as temporary:
            temporary.write_bytes(text)


def read_checked(path: Path) -> tuple[bytes, dict] | None:
    """What ``write_checked`` wrote, and its description; None where either file is missing, cut off or altered."""
    try:
        content, described = path.read_bytes(), json.loads(path.with_suffix(".json").read_bytes())
        checksum = described.pop("sha256")
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, AttributeError):  # half a JSON is none
        return None
    return (content, described) if checksum == hashlib.sha256(content).hexdigest() else None


def require_room(folder: Path, needed: int) -> None:
    """Make the folder, and find out before minutes of work, not after, that it cannot be filled.

    Args:
        needed: bytes that are about to be written.
    Raises:
        CourseError: it cannot be made or written to, or its disk holds less.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CourseError(f"The folder {folder} cannot be written to: no permission.")
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CourseError(f"The images need {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free.")
