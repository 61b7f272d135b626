"""Which releases the course reads, and which of them a folder holds."""

from __future__ import annotations

from pathlib import Path

from gazecourse.datasets.eth_xgaze import ETHXGaze
from gazecourse.datasets.eyediap import EyeDiap
from gazecourse.datasets.gaze360 import Gaze360
from gazecourse.datasets.gazehub import LABEL, GazeHub, release_of
from gazecourse.datasets.landmark_releases import COFWRelease, IBug300WRelease, WFLWRelease
from gazecourse.datasets.mpiifacegaze import MPIIFaceGazeNormalized
from gazecourse.datasets.mpiifacegaze_raw import MPIIFaceGazeRaw
from gazecourse.datasets.source import Release, Source
from gazecourse.validation import check_choice

SETS = {
    "mpiifacegaze": (MPIIFaceGazeNormalized, MPIIFaceGazeRaw),
    "eth_xgaze": (ETHXGaze,),
    "gaze360": (Gaze360,),
    "eyediap": (EyeDiap,),
    "wflw": (WFLWRelease,),
    "300w": (IBug300WRelease,),
    "cofw": (COFWRelease,),
}
"""The data sets and their own releases; for gaze, GazeHub's label folders come on top."""
LANDMARK_SETS = ("wflw", "300w", "cofw")
"""Those with landmarks and without gaze."""


def releases(name: str) -> dict[str, Release]:
    """The releases of a data set that the course reads, by their kind.

    Raises:
        ValueError: no such data set.
    """
    check_choice("set", name, tuple(SETS))
    own = {source.release.kind: source.release for source in SETS[name]}
    return own if name in LANDMARK_SETS else {**own, "gazehub": release_of(name)}


def open_release(name: str, root: str | Path, kind: str | None = None, *, missing_ok: bool = False) -> Source:
    """The release of a data set in a folder.

    Args:
        name: one of ``SETS``.
        root: the folder.
        kind: of the release; None looks at the folder.
        missing_ok: go on with what is there.
    Raises:
        ValueError: no such data set or release.
        FileNotFoundError, CourseError: the folder does not hold it; see ``Source``.
    """
    known = releases(name)
    if kind is None:
        kind = guess(name, Path(root).expanduser())
    check_choice("release", kind, tuple(known))
    if kind == "gazehub":
        return GazeHub(root, name=name, missing_ok=missing_ok)
    return next(source for source in SETS[name] if source.release.kind == kind)(root, missing_ok=missing_ok)


def guess(name: str, root: Path) -> str:
    """The kind of release that a folder seems to hold; the set's first where nothing tells."""
    if (root / LABEL).is_dir():
        return "gazehub"
    if name == "mpiifacegaze" and any(root.glob("p[0-9][0-9]/p[0-9][0-9].txt")):
        return MPIIFaceGazeRaw.release.kind
    return SETS[name][0].release.kind
