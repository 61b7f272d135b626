"""The systems of the course, one file each, to be read beside their papers."""

from gazecourse.models.alexnet import AlexNet
from gazecourse.models.eyes import EyeNet, ITracker
from gazecourse.models.full_face import FullFace, SpatialWeights
from gazecourse.models.gazenet import GazeNet

__all__ = ["AlexNet", "EyeNet", "FullFace", "GazeNet", "ITracker", "SpatialWeights"]
