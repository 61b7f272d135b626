"""The head model's file, its symmetry, and what moves when identity, expression and gaze change."""

import itertools

import pytest
import torch

from gazecourse.faces.domains import LAPTOP
from gazecourse.faces.head import EXPRESSION_ACTIONS, HeadModel, identity_index, identity_names, vertex_normals
from gazecourse.paths import HEAD_MODEL

MIRRORED = [16 - i for i in range(17)] + [26 - i for i in range(10)]
"""Jaw and brows: the landmark on the other side of each of the first 27."""


@pytest.fixture(scope="module")
def model():
    return HeadModel()


@pytest.fixture(scope="module")
def neutral():
    factors = LAPTOP.sample([0, 1, 2], people=3, seed=0, split="train")
    return factors.replace(expression=0, blink=0.0)


def test_a_missing_head_model_says_how_to_build_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No head model at .*build_head_model\.py"):
        HeadModel(path=tmp_path / "head.safetensors")


def test_a_damaged_head_model_says_so(tmp_path):
    path = tmp_path / "head.safetensors"
    path.write_bytes(HEAD_MODEL.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"is not a head model .*build_head_model\.py"):
        HeadModel(path=path)


def test_an_unknown_shape_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="name must be one of 'head-angle-out'"):
        identity_index("elbow-width")


def test_the_mean_head_is_symmetric(model):
    points = model.landmarks(model.mean[None])[0, :27]
    mirrored = points[MIRRORED] * torch.tensor([-1.0, 1.0, 1.0])
    assert (points - mirrored).abs().max() < 1.5
    left, right = model.eye_centers
    assert (left * torch.tensor([-1.0, 1.0, 1.0]) - right).abs().max() < 0.1


def test_landmarks_lie_where_faces_have_them(model):
    """In millimeters: chin below mouth below nose below eyes below brows; the nose sticks out farthest."""
    points = model.landmarks(model.mean[None])[0]
    heights = [points[rows, 1].mean() for rows in ([8], [57], [33], [36, 45], [19, 24])]
    assert all(a > b + 8 for a, b in itertools.pairwise(heights))
    assert points[:, 2].argmin() == 30
    assert points[17:, 2].max() < 15
    assert 55 < (model.eye_centers[0] - model.eye_centers[1]).norm() < 70


def test_a_named_direction_does_what_its_name_says(model, neutral):
    column = identity_index("nose-scale-horiz")
    widths = []
    for value in (-1.0, 1.0):
        identity = torch.zeros_like(neutral.identity)
        identity[:, column] = value
        points = model.shape(neutral.replace(identity=identity)).landmarks
        widths.append((points[:, 35, 0] - points[:, 31, 0]).mean())
    assert widths[1] > widths[0] + 2


def test_every_expression_uses_action_units_that_exist(model):
    for actions in EXPRESSION_ACTIONS.values():
        assert set(actions) <= set(model.action_names)
        assert all(0 < weight <= 1 for weight in actions.values())


def test_an_expression_moves_the_mouth_and_leaves_the_eyeballs(model, neutral):
    still = torch.zeros(3, 2)
    base = model.shape(neutral)
    open_mouth = neutral.replace(expression=4, expression_strength=1.0)
    calm = model.express(base, model.actions(neutral, still, still))
    surprised = model.express(base, model.actions(open_mouth, still, still))
    assert ((surprised.landmarks[:, 57] - calm.landmarks[:, 57])[:, 1] > 5).all()
    assert torch.equal(surprised.eye_centers, calm.eye_centers)


def test_each_lid_follows_its_own_eye(model, neutral):
    down_left = torch.tensor([[-0.5, 0.0]]).expand(3, 2)
    moved = model.express(model.shape(neutral), model.actions(neutral, down_left, torch.zeros(3, 2))).landmarks
    still = model.express(model.shape(neutral), model.actions(neutral, torch.zeros(3, 2), torch.zeros(3, 2))).landmarks
    shift = (moved - still)[..., 1]
    assert (shift[:, [43, 44]] > 0.8).all()
    assert shift[:, [37, 38]].abs().max() < 0.2


def test_normals_of_a_head_point_outward(model):
    skin = model.triangles[model.part == 0]
    normals = vertex_normals(model.mean[None], skin)[0]
    nose, back = model.mean[:, 2].argmin(), model.mean[:, 2].argmax()
    assert normals[nose, 2] < -0.5
    assert normals[back, 2] > 0.3
    assert len(identity_names()) == len(model.identity_names)
