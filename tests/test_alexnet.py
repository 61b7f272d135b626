"""AlexNet against its paper and against torchvision: every number of weights, every map's size, the same outputs."""

import math

import pytest
import torch
from torch import nn

from gazecourse.models import AlexNet
from gazecourse.models.alexnet import alexnet_features, map_shape, scaled


def without_data(build):
    """A network on the meta device: all its shapes, none of its memory."""
    with torch.device("meta"):
        return build()


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def weights(model, kind):
    return [tuple(layer.weight.shape) for layer in model.modules() if isinstance(layer, kind)]


def convolutions(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]


# ---------------------------------------------------------------------- shapes


@pytest.mark.parametrize(("form", "size", "count"), [("two_tower", 227, 60_965_224), ("one_tower", 224, 61_100_840)])
def test_each_form_at_its_own_size_has_the_published_number_of_parameters(form, size, count):
    model = without_data(lambda: AlexNet(form=form))
    assert model.size == (size, size)
    assert parameters(model) == count


def test_two_tower_weights_have_the_shapes_of_the_2012_paper():
    """Kernels of conv2, conv4 and conv5 see half of the maps: 48, 192 and 192."""
    model = without_data(AlexNet)
    assert weights(model, nn.Conv2d) == [
        (96, 3, 11, 11),
        (256, 48, 5, 5),
        (384, 256, 3, 3),
        (384, 192, 3, 3),
        (256, 192, 3, 3),
    ]
    assert weights(model, nn.Linear) == [(4096, 9216), (4096, 4096), (1000, 4096)]
    assert [layer.stride for layer in convolutions(model)] == [(4, 4), (1, 1), (1, 1), (1, 1), (1, 1)]


def test_one_tower_weights_have_torchvisions_shapes():
    model = without_data(lambda: AlexNet(form="one_tower"))
    assert weights(model, nn.Conv2d) == [
        (64, 3, 11, 11),
        (192, 64, 5, 5),
        (384, 192, 3, 3),
        (256, 384, 3, 3),
        (256, 256, 3, 3),
    ]
    assert weights(model, nn.Linear) == [(4096, 9216), (4096, 4096), (1000, 4096)]


def test_towers_meet_in_conv3_and_nowhere_else():
    features = alexnet_features("two_tower", width=0.1)
    for number, layer in enumerate(convolutions(features), start=1):
        maps = torch.rand(1, layer.in_channels, 12, 12)
        changed = maps.clone()
        changed[:, layer.in_channels // 2 :] += 1.0  # what the second tower holds
        first_tower = layer.out_channels // 2
        same = torch.equal(layer(maps)[:, :first_tower], layer(changed)[:, :first_tower])
        assert same == (number in (2, 4, 5)), f"conv{number}"


def test_one_tower_takes_torchvisions_weights_and_gives_its_output():
    from torchvision.models import AlexNet_Weights, alexnet

    theirs = alexnet(weights=None).eval()
    ours = AlexNet(form="one_tower").eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    preset = AlexNet_Weights.IMAGENET1K_V1.transforms()
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preset.mean, preset.std))
    with torch.no_grad():
        expected = theirs((images - mean) / std)
        torch.testing.assert_close(ours(images), expected, rtol=1e-5, atol=1e-6)
        assert (theirs(images) - expected).abs().max() > 1e-3, "unnormalized images give something else"


@pytest.mark.parametrize("form", ["two_tower", "one_tower"])
@pytest.mark.parametrize(("size", "cells"), [(227, 6), (224, 6), (448, 13)])
def test_maps_are_6_by_6_for_imagenet_and_13_by_13_for_full_face(form, size, cells):
    features = without_data(lambda: alexnet_features(form))
    assert tuple(features(torch.empty(2, 3, size, size, device="meta")).shape) == (2, 256, cells, cells)


def test_pooling_windows_may_hang_over_the_edge_where_that_makes_13_cells_of_12():
    """The two-tower form rounds up as its framework did: without effect at 227 pixels, decisive at 448."""

    def rounded_down(features):
        for layer in features:
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = False
        return features

    for size, up, down in ((227, 6, 6), (448, 13, 12)):
        assert map_shape(alexnet_features("two_tower", width=0.05), size)[1:] == (up, up)
        assert map_shape(rounded_down(alexnet_features("two_tower", width=0.05)), size)[1:] == (down, down)


@pytest.mark.parametrize(
    "form",
    [
        "two_tower",
    ],
)
@pytest.mark.parametrize("size", [224, 448])
def test_images_of_half_the_size_give_the_same_maps_with_stride_2(form, size):
    full, half = (map_shape(alexnet_features(form, width=0.05, stride=stride), side) for stride, side in HALVES[size])
    assert full == half


HALVES = {224: ((4, 224), (2, 112)), 448: ((4, 448), (2, 224))}


def test_map_shape_of_images_that_are_not_square():
    features = alexnet_features("two_tower", width=0.1, stride=2)
    shape = map_shape(features, (36, 60))
    assert shape == tuple(features(torch.zeros(1, 3, 36, 60)).shape[1:])
    assert shape[1] < shape[2]


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [(96, 1.0, 96), (96, 0.25, 24), (4096, 0.25, 1024), (100, 1.0, 96), (64, 0.01, 8), (256, 2.0, 512)],
)
def test_scaled_channels_are_the_nearest_multiple_of_8(channels, width, expected):
    assert scaled(channels, width) == expected


def test_width_scales_every_layer_but_the_output():
    model = without_data(lambda: AlexNet(7, width=0.25))
    assert [shape[0] for shape in weights(model, nn.Conv2d)] == [24, 64, 96, 96, 64]
    assert weights(model, nn.Linear) == [(1024, 64 * 36), (1024, 1024), (7, 1024)]


# ---------------------------------------------------------------------- start and training


@pytest.mark.parametrize("form", ["two_tower", "one_tower"])
def test_convolutions_start_as_he_et_al_do_and_biases_at_zero(form):
    torch.manual_seed(0)
    for layer in convolutions(alexnet_features(form)):
        fan_in = layer.weight[0].numel()  # of one group: what one kernel sees
        count, deviation = layer.weight.numel(), math.sqrt(2 / fan_in)
        assert layer.weight.mean().item() == pytest.approx(0, abs=5 * deviation / math.sqrt(count))
        assert layer.weight.std().item() == pytest.approx(deviation, rel=5 / math.sqrt(2 * count))
        assert not layer.bias.any()


def test_dropout_is_random_in_training_and_absent_in_evaluation():
    torch.manual_seed(0)
    model, images = AlexNet(2, size=64, width=0.1), torch.rand(2, 3, 64, 64)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))
    undropped = AlexNet(2, size=64, width=0.1, dropout=0.0)
    assert torch.equal(undropped(images), undropped(images))


@pytest.mark.parametrize("form", ["two_tower", "one_tower"])
def test_the_gradient_reaches_every_parameter(form):
    torch.manual_seed(0)
    model = AlexNet(2, form, size=64, width=0.1)
    model(torch.rand(4, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"form": "three_tower"}, ValueError, "form must be one of 'two_tower', 'one_tower'; got 'three_tower'"),
        ({"size": 8}, ValueError, r"size must leave feature maps of 1 × 1 or more; 8 × 8 is too small"),
        ({"size": 7}, ValueError, "size must be 8 or more"),
        ({"size": 224.0}, TypeError, "size must be a whole number; got float 224.0"),
        ({"width": 0}, ValueError, "width must be a finite number above 0"),
        ({"width": "wide"}, TypeError, "width must be a number above 0; got str 'wide'"),
        ({"stride": 0}, ValueError, "stride must be 1 or more, at most 11; got 0"),
        ({"outputs": 0}, ValueError, "outputs must be 1 or more; got 0"),
        ({"dropout": 2.0}, ValueError, "dropout"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        AlexNet(**{"size": 64, "width": 0.05, **options})


def test_a_size_of_zero_is_refused():
    with pytest.raises(ValueError, match="size must be 8 or more"):
        AlexNet(size=0, width=0.05)
