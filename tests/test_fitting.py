"""Identity from the landmarks of one face: synthetic landmarks, whose identity is known, and SciPy beside."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from gazecourse.angles import pitchyaw_to_rotation
from gazecourse.faces import fitting as module
from gazecourse.faces.domains import LAPTOP
from gazecourse.faces.fitting import MACRO_PRIOR, fit_identity
from gazecourse.faces.head import HeadModel, identity_index, identity_names

COUNT = 3
FOCAL = 840.0


@pytest.fixture(scope="module")
def model():
    return HeadModel()


@pytest.fixture(scope="module")
def people():
    factors = LAPTOP.sample(range(COUNT), people=COUNT, seed=3, split="train")
    return factors.replace(expression=0, blink=0.0)


@pytest.fixture(scope="module")
def heads(model, people):
    """Landmarks [B, 68, 3] in the head frame, drawn as the renderer draws them, eyes straight ahead."""
    straight = torch.zeros(COUNT, 2)
    return model.express(model.shape(people), model.actions(people, straight, straight)).landmarks.double()


def photograph(heads, rotation=None, position=(0.0, 0.0, 600.0), focal=FOCAL, size=224):
    placed = heads if rotation is None else heads @ rotation.double().transpose(-1, -2)
    placed = placed + torch.tensor(position, dtype=torch.float64)
    return focal * placed[..., :2] / placed[..., 2:] + size / 2


@pytest.fixture(scope="module")
def fit(model, heads):
    return fit_identity(photograph(heads), 224, noise=0.3, model=model)


def explained(fitted, true):
    """Share of the variance of coefficients about zero, the mean head."""
    return 1 - float((fitted - true).square().sum() / true.square().sum())


def test_landmark_basis_is_that_of_the_renderer(model, people, heads):
    mean, directions = model.landmark_basis()
    assert mean.shape == (68, 3)
    assert directions.shape == (len(identity_names()) + 6, 68, 3)
    old = ((people.age - 30) / 45).clamp(0, 1)
    macro = [people.male, old, 0.5 * people.weight, *people.ancestry.unbind(1)]
    weights = torch.cat([people.identity, torch.stack(macro, dim=1)], dim=1)
    landmarks = mean + torch.einsum("bk,kvc->bvc", weights, directions)
    assert (landmarks - heads).abs().max() < 0.7, "but for lids that are pushed off the eyeballs"


def test_fit_goes_through_the_landmarks(fit):
    assert fit.error.shape == (COUNT,)
    assert fit.error.max() < 0.35
    assert fit.identity.shape == (COUNT, len(identity_names()))
    assert fit.macro.shape == (COUNT, len(MACRO_PRIOR))


def test_fit_knows_the_person_better_than_the_mean_head_does(fit, people):
    assert explained(fit.identity, people.identity) > 0.3
    for name in ("mouth-scale-horiz", "chin-height", "mouth-trans-out"):
        column = identity_index(name)
        true = people.identity[:, column]
        assert (fit.identity[:, column] - true).square().sum() < 0.5 * true.square().sum(), name


def test_fitted_people_are_most_like_themselves(fit, people):
    distance = torch.cdist(fit.identity, people.identity.double())
    assert distance.argmin(1).tolist() == list(range(COUNT))


def test_fit_finds_pose_and_place(model, heads):
    turn = pitchyaw_to_rotation(torch.tensor([[0.1, -0.15]], dtype=torch.float64))
    rotation = turn.expand(COUNT, 3, 3)
    fit = fit_identity(photograph(heads, rotation, (5.0, -8.0, 610.0)), 224, distance=610.0, model=model)
    angle = torch.acos(
        ((fit.rotation @ rotation.transpose(1, 2)).diagonal(dim1=1, dim2=2).sum(1) - 1).div(2).clamp(-1, 1)
    )
    assert angle.max() < math.radians(5)
    assert (fit.position[:, :2] - torch.tensor([5.0, -8.0])).abs().max() < 3
    torch.testing.assert_close(fit.rotation @ fit.rotation.transpose(1, 2), torch.eye(3).double().expand(COUNT, 3, 3))
    assert fit.error.max() < 0.7


def test_fit_is_the_same_for_another_image_size_and_for_one_face(model, heads, fit):
    half = fit_identity(photograph(heads, focal=FOCAL / 2, size=112)[0], 112, noise=0.15, model=model)
    assert half.identity.shape == (1, len(identity_names()))
    torch.testing.assert_close(half.identity[0], fit.identity[0], atol=1e-5, rtol=0)
    other = photograph(heads[:1], focal=960.0)
    zoomed = fit_identity(other, 224, focal=960.0, noise=0.3 * 960 / 840, model=model)
    torch.testing.assert_close(zoomed.identity[0], fit.identity[0], atol=1e-5, rtol=0)


def test_more_noise_stays_closer_to_the_mean_head(model, heads, fit):
    doubtful = fit_identity(photograph(heads[:1]), 224, noise=30.0, model=model)
    assert doubtful.identity.norm() < 0.3 * fit.identity[0].norm()
    assert doubtful.error[0] > fit.error[0]


def test_noise_in_the_landmarks_costs_little(model, heads, people):
    generator = torch.Generator().manual_seed(0)
    noisy = photograph(heads) + 0.5 * torch.randn(COUNT, 68, 2, generator=generator, dtype=torch.float64)
    fit = fit_identity(noisy, 224, noise=0.6, model=model)
    assert explained(fit.identity, people.identity) > 0.2
    assert fit.identity.isfinite().all()


def test_fit_agrees_with_scipys_least_squares(model, heads, fit):
    """The cost function written again, in NumPy and with another parametrization of the rotation."""
    mean, directions = (tensor.double().numpy() for tensor in model.landmark_basis())
    prior_mean, prior_spread = (tensor.numpy() for tensor in module.prior(model))
    face = photograph(heads)[0].numpy()

    def residuals(parameters):
        weights = parameters[6:]
        head = mean + np.tensordot(weights, directions, axes=1)
        placed = Rotation.from_rotvec(parameters[:3]).apply(head) + parameters[3:6]
        pixels = FOCAL * placed[:, :2] / placed[:, 2:] + 112
        prior = (weights - prior_mean) / prior_spread
        return np.concatenate([(pixels - face).ravel() / 0.3, prior, [(parameters[5] - 600) / 20]])

    start = np.concatenate([[0, 0, 0, 0, 0, 600], prior_mean])
    best = least_squares(residuals, start, x_scale=np.concatenate([[0.1] * 3, [10] * 3, prior_spread]))
    count = len(identity_names())
    np.testing.assert_allclose(fit.identity[0], best.x[6 : 6 + count], atol=2e-3)
    np.testing.assert_allclose(fit.position[0], best.x[3:6], atol=0.1)


@pytest.mark.parametrize(
    ("landmarks", "options", "error", "message"),
    [
        (torch.zeros(2, 60, 2), {}, ValueError, r"landmarks must have shape \[..., 68, 2\]; got .*\[2, 60, 2\]"),
        (torch.zeros(68, 2).long(), {}, TypeError, "landmarks must be floating point"),
        (torch.full((68, 2), math.nan), {}, ValueError, "landmarks must be finite"),
        (torch.zeros(68, 2), {"noise": 0.0}, ValueError, "noise must be a finite number above 0"),
        (torch.zeros(68, 2), {"focal": -1.0}, ValueError, "focal must be a finite number above 0"),
        (torch.zeros(68, 2), {"distance": 0}, ValueError, "distance must be a finite number above 0"),
        (torch.zeros(68, 2), {"distance_spread": 0}, ValueError, "distance_spread must be a finite number above 0"),
    ],
)
def test_bad_arguments_are_named(model, landmarks, options, error, message):
    with pytest.raises(error, match=message):
        fit_identity(landmarks, 224, model=model, **options)
