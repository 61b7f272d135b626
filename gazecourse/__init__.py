"""gazecourse: learn appearance-based gaze estimation and face alignment by building it."""

from gazecourse import torchvision_compat

__version__ = "0.1.0"

torchvision_compat.install()
