"""Pictures from a camera, through OpenCV."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import numpy as np

from gazecourse.detection import opencv
from gazecourse.errors import CourseError
from gazecourse.validation import check_whole

SIZE = (640, 480)
"""Width and height that the camera is asked for; it may give others."""
WARM_UP = 5
"""Pictures that are thrown away first: cameras need some to find the exposure."""


def pictures(number: int = 0) -> Iterator[tuple[float, np.ndarray]]:
    """What a camera sees, picture by picture: seconds since the start, and uint8 [H, W, 3], RGB.

    The camera is given back when the iteration ends or is closed.

    Args:
        number: 0 is the computer's first camera.
    Raises:
        CourseError: the camera is not there, is taken, or stops; or OpenCV is not installed.
    """
    check_whole("number", number, 0)
    cv2 = opencv()
    _silence(cv2)
    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise CourseError(_why_not(number))
        for setting, value in zip((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), SIZE, strict=True):
            camera.set(setting, value)
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a slow reader wants the newest picture, not the oldest
        for _ in range(WARM_UP):
            camera.read()
        start = time.perf_counter()
        while True:
            there, picture = camera.read()
            if not there:
                raise CourseError(f"Camera {number} gives no pictures (any more). Is it plugged in, and not in use?")
            yield time.perf_counter() - start, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    finally:
        camera.release()


def snapshot(number: int = 0) -> np.ndarray:
    """One picture of a camera, uint8 [H, W, 3], RGB; errors as in ``pictures``."""
    with closing(pictures(number)) as seen:
        return next(seen)[1]


def _silence(cv2: ModuleType) -> None:
    """No words of OpenCV's own on stderr: they name drivers, and no remedy. Newer versions have another switch."""
    place = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    place.setLogLevel(0)


def _why_not(number: int) -> str:
    device = Path(f"/dev/video{number}")
    if sys.platform.startswith("linux") and not device.exists():
        there = sorted(path.name.removeprefix("video") for path in device.parent.glob("video*"))
        others = f"there are {', '.join(there)}" if there else "this computer has none"
        return f"There is no camera {number} ({device}): {others}. A photograph or a video does as well."
    return (
        f"Camera {number} does not open: it is not there, another program uses it, or this one may not. Close what "
        "uses it, allow it in the system's settings, or name another camera."
    )
