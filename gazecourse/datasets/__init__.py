"""Readers of the real data sets, one file each, all yielding the same sample. Learners download the data themselves."""

from gazecourse.datasets.mpiifacegaze import MPIIFaceGaze

__all__ = ["MPIIFaceGaze"]
