"""Faces of all poses equally often: which images to show again, so that a training set is not mostly frontal.

Source: Feng, Kittler, Awais, Huber and Wu, "Wing loss for robust facial landmark localisation", CVPR 2018, section 5
(pose-based data balancing); structure-coherent alignment (Lin et al. 2021) trains on data balanced that way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.validation import check_array, check_whole

ALIGNMENTS = 3
"""Rounds of turning all faces to their mean, and taking the mean anew."""


def pose_coordinate(landmarks: Tensor) -> Tensor:
    """How far each face is turned, as its landmarks have it: the first principal component of aligned shapes.

    Place, size and roll are taken off (Procrustes). What then varies most from face to face is the yaw of the head.

    Args:
        landmarks: [M, N, 2], of two faces or more.
    Returns:
        [M], without unit and with any sign, mean 0.
    Raises:
        TypeError, ValueError: naming the argument; also a face whose landmarks all coincide.
    """
    points = torch.as_tensor(check_array("landmarks", landmarks, ("M", "N", 2))).double()
    if len(points) < 2:
        raise ValueError(f"landmarks must be of two faces or more; got {len(points)}.")
    points = points - points.mean(1, keepdim=True)
    size = points.square().sum((1, 2)).sqrt()
    if bool((size == 0).any()):
        raise ValueError(f"landmarks of face {int(size.argmin())} all lie in one place.")
    shapes = torch.view_as_complex((points / size[:, None, None]).contiguous())
    mean = shapes[0]
    for _ in range(ALIGNMENTS):
        turn = (shapes.conj() * mean).sum(1, keepdim=True)  # a turn in the plane is a product of complex numbers
        shapes = shapes * turn / turn.abs().clamp(min=1e-12)
        mean = shapes.mean(0)
    flat = torch.view_as_real(shapes - mean).flatten(1)
    return flat @ torch.linalg.svd(flat, full_matrices=False).Vh[0]


def balanced_over_pose(landmarks: Tensor, bins: int = 9, most: int = 10, seed: int = 0) -> Tensor:
    """Numbers of images, some of them several times, so that poses are about equally frequent.

    The range of ``pose_coordinate`` is cut into equal parts, and each part is filled up to the size of the largest with
    its own images again.

    Args:
        landmarks: [M, N, 2] of the training faces.
        bins: parts; 1 leaves everything as it is.
        most: times that an image may come, however rare its pose. seed: of who comes once more than others.
    Returns:
        int64 [M or more], for ``subset``; every image at least once.
    Raises:
        TypeError, ValueError: naming the argument.
    """
    check_whole("bins", bins, 1)
    check_whole("most", most, 1)
    pose = pose_coordinate(landmarks)
    place = (pose - pose.min()) / (pose.max() - pose.min()).clamp(min=1e-12)
    part = (place * bins).long().clamp(max=bins - 1)
    sizes = torch.bincount(part, minlength=bins)
    generator = torch.Generator().manual_seed(check_whole("seed", seed, 0))
    rows = []
    for number in range(bins):
        members = (part == number).nonzero().flatten()
        if len(members):
            wanted = min(int(sizes.max()), most * len(members))
            order = members[torch.randperm(len(members), generator=generator)]
            rows.append(order.repeat(-(-wanted // len(members)))[:wanted])
    return torch.cat(rows)
