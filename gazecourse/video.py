"""Videos, picture by picture, through PyAV: an extra of the course, ``pip install -e ".[video]"``."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np

from gazecourse.errors import CourseError
from gazecourse.files import atomic_write
from gazecourse.validation import check_choice, check_positive

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi"}
INSTALL = "Videos need the package av, which is not installed: pip install av"


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

    They are upright: a phone that is held upright stores them lying, and says in the file by how much to turn them.

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
                quarters = round(frame.rotation / 90) % 4  # counterclockwise, as in NumPy
                yield number, np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarters))


def frame_rate(path: Path) -> float:
    """Pictures per second.

    Raises:
        FileNotFoundError, CourseError: as ``frames``.
    """
    with _opened(path) as container:
        return float(container.streams.video[0].average_rate or 25)


def frame_count(path: Path) -> int:
    """Number of pictures: what the file says, else counted, which takes as long as decoding it.

    Raises:
        FileNotFoundError, CourseError: as ``frames``.
    """
    with _opened(path) as container:
        return container.streams.video[0].frames or sum(1 for _ in container.decode(video=0))


class VideoWriter:
    """Writes pictures into a video file, which is whole when the ``with`` block ends well, and absent otherwise.

    Args:
        path: ends in .mp4, .mov, .mkv or .avi.
        rate: pictures per second.
    Raises:
        CourseError: PyAV is not installed, or the file cannot be written. ValueError: another ending.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path, ending = path, path.suffix.lower()
        check_choice("the ending of path", ending, tuple(CONTAINERS))
        self._container = CONTAINERS[ending]
        self._rate = Fraction(check_positive("rate", rate)).limit_denominator(1001)
        self._stream = None

    def __enter__(self) -> VideoWriter:
        self._stack = ExitStack()
        av = _av()
        temporary = self._stack.enter_context(atomic_write(self.path))
        self._file = self._stack.enter_context(av.open(str(temporary), "w", format=self._container))
        return self

    def write(self, picture: np.ndarray) -> None:
        """Append a picture, uint8 [H, W, 3], RGB; all of one size, of which an odd last row or column is cut off."""
        av = _av()
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        if self._stream is None:
            codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
            self._stream = self._file.add_stream(codec, rate=self._rate)
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
        self._file.mux(self._stream.encode(frame))

    def __exit__(self, *reason: object) -> None:
        if reason[0] is None and self._stream is not None:
            self._file.mux(self._stream.encode())
        self._stack.__exit__(*reason)
