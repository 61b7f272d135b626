"""Who the people of a set are, where nobody knows their heads: identity parameters, fitted to their own faces.

    images of a person → the most frontal ones → landmarks, by the course's network → fit_identity → their mean

The network always answers, whatever an image shows. So it is shown each face and its mirror image: on a face that it
understands it finds the same landmarks twice, and what it is of two minds about is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gazecourse.alignment import MOST_DOUBT, landmarks_and_doubt
from gazecourse.angles import angular_error
from gazecourse.batches import fetch
from gazecourse.datasets.source import FOCAL
from gazecourse.datasets.store import StoredFaces
from gazecourse.errors import CourseError
from gazecourse.faces.fitting import fit_identity
from gazecourse.faces.head import HeadModel, identity_names
from gazecourse.faces.pose import guessed_camera, head_pose
from gazecourse.models.structure_coherent import load_landmark_net

CANDIDATES = 8
"""Faces of a person that landmarks are looked for in."""
FACES = 4
"""The most frontal of them, which the head is fitted to, each by itself."""
DISTANCE_SPREAD = 150.0
"""Standard deviation of a face's distance, mm. Some sets' faces are cut out by boxes, and may seem near or far."""


def fitted_identities(faces: StoredFaces, net: nn.Module | None = None) -> Tensor:
    """Identity parameters of everybody in a set, float32 [P, K], in the order of ``faces.people``.

    Who has no face that landmarks are found in gets the average head; a line is printed that names them.

    Args:
        faces: of a real set.
        net: finds 68 landmarks in images; default the one that comes with the course.
    Raises:
        CourseError: landmarks are found in nobody's faces.
    """
    net, model = net or load_landmark_net(), HeadModel()
    fitted = {person: identity_of(faces, person, net, model) for person in faces.people}
    unknown = [str(person) for person, identity in fitted.items() if identity is None]
    if len(unknown) == len(fitted):
        raise CourseError(
            f"CLIP-Gaze needs faces that landmarks can be found in, to tell people apart; in {faces.domain} there are "
            f"none of {len(fitted)} people. Are the images upright faces?"
        )
    if unknown:
        print(f"no landmarks were found in the faces of {', '.join(unknown)}: they get the average head's prompts")
    average = torch.zeros(len(identity_names()))
    return torch.stack([average if identity is None else identity for identity in fitted.values()])


def identity_of(faces: StoredFaces, person: int, net: nn.Module, model: HeadModel) -> Tensor | None:
    """Identity parameters [K] of one person; None if there is no face of theirs that landmarks are found in."""
    images = fetch(faces, frontal_faces(faces, person, CANDIDATES).tolist()).image
    found = [landmarks for landmarks in (landmarks_in_face(image, net) for image in images) if landmarks is not None]
    if not found:
        return None
    frontal = sorted(found, key=lambda landmarks: _facing(landmarks, faces.size), reverse=True)[:FACES]
    heads = fit_identity(
        torch.stack(frontal), faces.size, focal=FOCAL * faces.size, distance_spread=DISTANCE_SPREAD, model=model
    )
    return heads.identity.mean(0).float()


def frontal_faces(faces: StoredFaces, person: int, count: int) -> Tensor:
    """Numbers of the faces of a person, at most ``count``, whose head is turned least.

    Where a set does not say how heads are turned, those who look closest to the camera: most people's heads follow.
    """
    rows = (faces.person == person).nonzero().flatten()
    direction = (faces.gaze if faces.head is None else faces.head)[rows]
    return rows[angular_error(direction, torch.zeros(2)).argsort(stable=True)[:count]]


def landmarks_in_face(image: Tensor, net: nn.Module) -> Tensor | None:
    """Landmarks [68, 2] in an image that a face fills, uint8 [3, H, W]: the mean of those in it and in its mirror.

    None where these are further apart than ``MOST_DOUBT``.
    """
    landmarks, doubt = landmarks_and_doubt(net, image, (0, 0, image.shape[2], image.shape[1]))
    return landmarks if doubt <= MOST_DOUBT else None


def _facing(landmarks: Tensor, size: int) -> float:
    """Cosine of the angle between the head with these landmarks and the line of sight."""
    return float(head_pose(landmarks, guessed_camera(size, size, FOCAL * size)).rotation[2, 2])
