"""The course's own faces: a morphable head, a renderer, every factor that is not gaze, and four domains."""

from gazecourse.faces import domains
from gazecourse.faces.attributes import Factors, caption, classes
from gazecourse.faces.renderer import Renderer

__all__ = ["Factors", "Renderer", "caption", "classes", "domains"]
