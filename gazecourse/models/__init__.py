"""The systems of the course, one file each, to be read beside their papers."""

from gazecourse.models.alexnet import AlexNet
from gazecourse.models.ca_net import CANet
from gazecourse.models.clip import CLIP, OpenClip, load_clip
from gazecourse.models.clip_gaze import ClipGaze, PersonalizedContext
from gazecourse.models.dilated_net import DilatedNet
from gazecourse.models.domain_adversarial import DomainAdversarial
from gazecourse.models.eyes import EyeNet, ITracker
from gazecourse.models.full_face import FullFace, SpatialWeights
from gazecourse.models.gazenet import GazeNet
from gazecourse.models.puregaze import PureGaze, Purified, ResNetGaze, SAModule, purify
from gazecourse.models.rt_gene import RTGene
from gazecourse.models.structure_coherent import StructureCoherentNet, landmark_graph, laplacian

__all__ = [
    "CLIP",
    "AlexNet",
    "CANet",
    "ClipGaze",
    "DilatedNet",
    "DomainAdversarial",
    "EyeNet",
    "FullFace",
    "GazeNet",
    "ITracker",
    "OpenClip",
    "PersonalizedContext",
    "PureGaze",
    "Purified",
    "RTGene",
    "ResNetGaze",
    "SAModule",
    "SpatialWeights",
    "StructureCoherentNet",
    "landmark_graph",
    "laplacian",
    "load_clip",
    "purify",
]
