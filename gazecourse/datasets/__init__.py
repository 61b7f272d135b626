"""Readers of the real data sets, one file each, all yielding the same sample. Learners download the data themselves."""

from gazecourse.datasets.cofw import COFW
from gazecourse.datasets.ibug_300w import IBug300W
from gazecourse.datasets.mpiifacegaze import MPIIFaceGaze
from gazecourse.datasets.wflw import WFLW

__all__ = ["COFW", "WFLW", "IBug300W", "MPIIFaceGaze"]
