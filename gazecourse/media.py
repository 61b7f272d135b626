"""What kind of file is looked at, and which files the results go to; mistakes are named before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from gazecourse.errors import CourseError
from gazecourse.video import CONTAINERS

VIDEOS = (*CONTAINERS, ".m4v", ".webm", ".mpg", ".mpeg", ".wmv")
"""Endings of videos that are read; fewer are written."""
TABLE = ".csv"


def is_picture(path: Path) -> bool:
    """Whether a file's ending is one of pictures."""
    return path.suffix.lower() in Image.registered_extensions() and path.suffix.lower() not in VIDEOS


def source_kind(path: Path | None, camera: int | None) -> str:
    """What is looked at: "photo", "video" or "camera".

    Args:
        path: the file. camera: number of the camera. Exactly one of both is given.
    Raises:
        FileNotFoundError: no such file. ValueError: none or both; a camera below 0. CourseError: a folder, or an ending
            that is neither a picture's nor a video's.
    """
    if (path is None) == (camera is None):
        raise ValueError("look needs a photograph, a video or --camera 0, one of them.")
    if camera is not None:
        if camera < 0:
            raise ValueError(f"--camera must be 0 or more; got {camera}.")
        return "camera"
    if path.is_dir():
        raise CourseError(f"{path} is a folder; look needs one photograph or video.")
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    if is_picture(path):
        return "photo"
    if path.suffix.lower() in VIDEOS:
        return "video"
    raise CourseError(f"{path} is neither a photograph (.jpg, .png …) nor a video ({', '.join(VIDEOS)}) by its ending.")


def results_for(kind: str, source: Path | None, into: Sequence[Path]) -> tuple[Path | None, Path | None]:
    """Where the picture or video with arrows goes, and where the table; None where it is not wanted.

    Args:
        kind: of ``source``. source: the file that is looked at, if it is one.
        into: files that were asked for. Without any, a photograph or video goes to ``<name>-gaze``, in the working
            folder.
    Raises:
        CourseError: an ending that does not fit, two files of one kind, or the source itself.
    """
    if not into and source is not None:
        ending = ".png" if kind == "photo" else ".mp4"
        return Path(f"{source.stem}-gaze{ending}"), None
    tables = [path for path in into if path.suffix.lower() == TABLE]
    others = [path for path in into if path not in tables]
    for path in others:
        fits = is_picture(path) if kind == "photo" else path.suffix.lower() in CONTAINERS
        if not fits:
            wanted = ".jpg, .png" if kind == "photo" else ", ".join(CONTAINERS)
            raise CourseError(f"--into {path} must end in {wanted} for the result of a {kind}, or in .csv for a table.")
        if source is not None and path.resolve() == source.resolve():
            raise CourseError(f"--into {path} is the {kind} itself; name another file for the result.")
    for several in (tables, others):
        if len(several) > 1:
            raise CourseError(f"--into names two files of one kind, {several[0]} and {several[1]}; give one of each.")
    return next(iter(others), None), next(iter(tables), None)
