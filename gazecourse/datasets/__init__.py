"""Readers of the real data sets, one file each, all yielding the same sample. Learners download the data themselves."""

from gazecourse.datasets.cofw import COFW
from gazecourse.datasets.ibug_300w import IBug300W
from gazecourse.datasets.mpiifacegaze import MPIIFaceGaze
from gazecourse.datasets.releases import open_release, releases
from gazecourse.datasets.store import StoredFaces
from gazecourse.datasets.wflw import WFLW

__all__ = ["COFW", "WFLW", "IBug300W", "MPIIFaceGaze", "StoredFaces", "open_release", "releases"]
