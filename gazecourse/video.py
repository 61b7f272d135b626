"""Videos, picture by picture, through PyAV: an extra of the course, ``pip install "gazecourse[video]"``."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from gazecourse.errors import CourseError

INSTALL = 'Videos need the package av: pip install "gazecourse[video]"'


def _av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise CourseError(f"{INSTALL}.") from error
    return av


@contextmanager
def _opened(path: Path) -> Iterator[object]:
    """The container of a video, for reading."""
    av = _av()
    if not path.is_file():
        raise FileNotFoundError(f"There is no video {path}.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise CourseError(f"{path} has no pictures in it.")
            yield container
    except av.FFmpegError as error:
        raise CourseError(f"{path} cannot be read as a video; it is cut off or damaged ({error.strerror}).") from error


def require_video() -> None:
    """Find out before anything is done that videos can be read.

    Raises:
        CourseError: PyAV is not installed.
    """
    _av()


def frames(path: Path, wanted: Container[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Pictures of a video, uint8 [H, W, 3], RGB, in order, each with its number, counted from 0.

    Args:
        path: the video.
        wanted: numbers of the pictures to give; None for all.
    Raises:
        FileNotFoundError: there is no such file.
        CourseError: it is no video, or damaged, which may show only after some pictures; or PyAV is not installed.
    """
    with _opened(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if wanted is None or number in wanted:
                yield number, frame.to_ndarray(format="rgb24")


def frame_rate(path: Path) -> float:
    """Pictures per second.

    Raises:
        FileNotFoundError, CourseError: as ``frames``.
    """
    with _opened(path) as container:
        return float(container.streams.video[0].average_rate or 25)
