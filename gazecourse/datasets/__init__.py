"""Readers of the real data sets, one file each, all yielding the same sample. Learners download the data themselves."""

from gazecourse.datasets.mpiifacegaze import MPIIFaceGaze
from gazecourse.datasets.releases import open_release, releases
from gazecourse.datasets.store import StoredFaces

__all__ = ["MPIIFaceGaze", "StoredFaces", "open_release", "releases"]
