"""GazeNet: the size that was promised, and none of the bugs of the code in circulation."""

import copy

import pytest
import torch
from torch import nn

from gazecourse.models import GazeNet

SIZE = 112


@pytest.fixture(scope="module")
def images():
    faces = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return faces * torch.linspace(0.2, 1.0, 3).view(3, 1, 1, 1)


@pytest.fixture(scope="module")
def model(images):
    """BatchNorm knows the images: without statistics of any, a new network's features are all but zero."""
    torch.manual_seed(0)
    model = GazeNet()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        model(images)
    return model.eval()


def test_gazenet_has_4_387_331_parameters_a_45th_of_full_face(model):
    count = sum(p.numel() for p in model.parameters())
    assert count == 4_387_331
    assert round(196_604_483 / count) == 45


def test_maps_of_112_pixels_are_256_of_4_by_4(model, images):
    stages = model.stages(images)
    assert {name: tuple(values.shape) for name, values in stages.items()} == {
        "conv5": (3, 256, 4, 4),
        "weighted conv5": (3, 256, 4, 4),
        "fc": (3, 512),
    }
    assert [layer.weight.shape for layer in model.fc if isinstance(layer, nn.Linear)] == [
        (512, 4096),
        (512, 512),
        (2, 512),
    ]
    assert stages["conv5"].min() >= 0
    assert stages["conv5"].max() <= 6, "ReLU6"


@pytest.mark.parametrize(("size", "cells"), [(33, (2, 2)), (100, (4, 4)), ((64, 129), (2, 5))])
def test_other_sizes_give_maps_32_times_smaller_rounded_up(size, cells):
    model = GazeNet(size).eval()
    images = torch.rand(1, 3, *model.size)
    assert model.stages(images)["conv5"].shape == (1, 256, *cells)
    assert model(images).shape == (1, 2)


def test_evaluation_is_deterministic_and_training_is_not(images):
    torch.manual_seed(0)
    model = GazeNet()
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))
    without = GazeNet(dropout=0.0)
    assert torch.equal(without(images), without(images)), "without dropout nothing else is random"


def test_dropout_stands_before_the_first_and_after_both_hidden_layers(model):
    kinds = [type(layer).__name__ for layer in model.fc]
    assert kinds == ["Dropout", *["Linear", "ReLU", "Dropout"] * 2, "Linear"]
    assert {layer.p for layer in model.fc if isinstance(layer, nn.Dropout)} == {0.5}


def test_gaze_of_a_face_does_not_depend_on_its_batch(model, images):
    with torch.no_grad():
        assert (model(images)[0] - model(images)[2]).abs().max() > 1e-3, "faces differ in their gaze"
        torch.testing.assert_close(model(images)[:1], model(images[:1]), rtol=1e-4, atol=1e-6)


def test_weight_map_is_what_forward_multiplies_the_maps_by(model, images):
    torch.manual_seed(4)
    model = copy.deepcopy(model)
    nn.init.normal_(model.spatial_weights.conv3.weight, std=0.3)
    with torch.no_grad():
        weights, stages = model.weight_map(images), model.stages(images)
        assert weights.shape == (3, 4, 4)
        assert (weights >= 0).all()
        assert weights.std() > 0.01
        torch.testing.assert_close(stages["weighted conv5"], weights.unsqueeze(1) * stages["conv5"])
        torch.testing.assert_close(model(images), model.fc[-1](stages["fc"]))


def test_weight_map_starts_close_to_1(model, images):
    weights = model.weight_map(images)
    assert (weights - 1).abs().max() < 0.05
    assert weights.std() > 1e-4


def test_the_gradient_reaches_every_parameter(images):
    torch.manual_seed(0)
    model = GazeNet()
    model(images).square().sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="size must be 8 or more"):
        GazeNet(7)
    with pytest.raises(TypeError, match="size must be a whole number"):
        GazeNet(112.0)


def test_faces_of_another_size_are_refused(model):
    with pytest.raises(ValueError, match=r"image must be RGB \[B, 3, 112, 112\]"):
        model(torch.rand(1, 3, 224, 224))
