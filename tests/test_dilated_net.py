"""Dilated-Net: its layers against sums done by hand, and what it looks at."""

import copy

import pytest
import torch

from gazecourse.models import DilatedNet
from gazecourse.models.alexnet import map_shape
from gazecourse.models.dilated_net import eye_features, face_features
from gazecourse.models.layers import receptive_field

WIDTH, FACE, EYE, COUNT = 0.1, 32, (58, 86), 3


def rand(*shape, seed):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def images(seed):
    eyes = {name: rand(COUNT, 3, *EYE, seed=seed + 1 + i) for i, name in enumerate(("right", "left"))}
    return {"face": rand(COUNT, 3, FACE, FACE, seed=seed), **eyes}


INPUTS, OTHERS = images(seed=0), images(seed=3)


def dilated_net(**options):
    torch.manual_seed(0)
    return DilatedNet(**{"size": FACE, "eye_size": EYE, "width": WIDTH, **options}).eval()


def parameters(module):
    return sum(p.numel() for p in module.parameters())


# ---------------------------------------------------------------------- layers


@pytest.fixture(scope="module")
def full():
    return DilatedNet()


def conv(inputs, outputs, area=9):
    """Weights, biases, and scale and shift of BatchNorm."""
    return (area * inputs + 1) * outputs + 2 * outputs


def test_dilated_net_has_the_parameters_of_its_layers(full):
    four = conv(3, 64) + conv(64, 64) + conv(64, 128) + conv(128, 128)
    face = four + conv(128, 256) + 2 * conv(256, 256) + conv(256, 64, area=1) + 2 * conv(64, 64)
    eyes = four + conv(128, 64, area=1) + 2 * conv(64, 64) + conv(64, 128) + conv(128, 128)
    units = (
        conv(64 * 6 * 6, 256, area=1) + conv(256, 32, area=1)
        + conv(128 * 4 * 6, 256, area=1)
        + conv(544, 256, area=1) + 256 * 2 + 2
    )  # fmt: skip
    assert (parameters(full.face_features), parameters(full.eye_features)) == (face, eyes)
    assert parameters(full) == face + eyes + units == 3_920_482


def test_maps_at_the_papers_sizes_are_64_by_6_by_6_and_128_by_4_by_6(full):
    assert full.face[0][0].in_features == 64 * 6 * 6
    assert full.eye[0].in_features == 128 * 4 * 6
    assert map_shape(face_features(WIDTH).eval(), 96) == (8, 6, 6)
    assert map_shape(eye_features(WIDTH).eval(), (64, 96)) == (16, 4, 6)


def test_face_and_eyes_meet_in_544_units(full):
    assert full.gaze[0][0].in_features == 32 + 256 + 256


def test_dilated_convolutions_see_what_three_poolings_would_and_keep_the_resolution():
    layers = [layer for layer in eye_features(WIDTH) if hasattr(layer, "kernel_size")]
    steps = [layer.stride if isinstance(layer.stride, int) else layer.stride[0] for layer in layers]
    assert sum(step == 2 for step in steps) == 1

    def field(axis):
        return receptive_field(
            [
                (layer.kernel_size[axis], 1, layer.dilation[axis])
                if isinstance(layer, torch.nn.Conv2d)
                else (layer.kernel_size, layer.stride)
                for layer in layers
            ]
        )

    # 5 behind the first two convolutions, 6 behind the pool; from there two pixels a step: 8 plain, 56 or 84 dilated.
    assert (field(0), field(1)) == (6 + 8 + 56, 6 + 8 + 84)


@pytest.mark.parametrize("size", [(58, 86), (64, 96), (71, 90)])
def test_dilation_takes_28_rows_and_42_columns_off_the_halved_eye(size):
    height, width = size
    assert map_shape(eye_features(WIDTH).eval(), size)[1:] == (height // 2 - 28, width // 2 - 42)


def test_building_the_network_does_not_touch_its_statistics():
    model = DilatedNet(FACE, eye_size=EYE, width=WIDTH)
    assert all(module.training for module in model.modules())
    means = [buffer for name, buffer in model.named_buffers() if name.endswith("running_mean")]
    assert len(means) == (7 + 1 + 2) + (4 + 1 + 4) + 4  # convolutions of the face, of the eyes, hidden layers
    assert not any(mean.any() for mean in means)


# ---------------------------------------------------------------------- what it sees


def test_dilated_net_gives_one_gaze_for_each_face():
    assert dilated_net()(**INPUTS).shape == (COUNT, 2)


@pytest.mark.parametrize("name", list(INPUTS))
def test_dilated_net_sees_the_face_and_both_eyes(name):
    model = dilated_net()
    assert not torch.allclose(model(**INPUTS), model(**INPUTS | {name: OTHERS[name]}))


def test_eyes_share_their_weights_and_are_told_apart_behind_them():
    """With the columns of the two eyes exchanged in the layer where they meet, exchanged eyes give the same gaze."""
    model = dilated_net()
    swapped = {"face": INPUTS["face"], "right": INPUTS["left"], "left": INPUTS["right"]}
    assert not torch.allclose(model(**INPUTS), model(**swapped))
    exchanged = copy.deepcopy(model)
    first = exchanged.gaze[0][0].weight
    narrow, hidden = model.face[1][0].out_features, model.eye[0].out_features
    face, right, left = first.detach().split([narrow, hidden, hidden], dim=1)
    with torch.no_grad():
        first.copy_(torch.cat([face, left, right], dim=1))
    torch.testing.assert_close(exchanged(**swapped), model(**INPUTS))


def test_dropout_is_off_at_evaluation_and_on_in_training():
    model = dilated_net()
    assert torch.equal(model(**INPUTS), model(**INPUTS))
    model.train()
    assert not torch.equal(model(**INPUTS), model(**INPUTS))
    still = dilated_net(dropout=0.0).train()
    assert torch.equal(still(**INPUTS), still(**INPUTS))


def test_faces_of_a_batch_do_not_mix_at_evaluation():
    model = dilated_net()
    alone = model(**{name: value[:1] for name, value in INPUTS.items()})
    torch.testing.assert_close(model(**INPUTS)[:1], alone)


def test_the_gradient_reaches_every_parameter_of_dilated_net():
    model = dilated_net()  # at evaluation: in training, BatchNorm subtracts what the biases before it add
    model(**INPUTS).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"face": None}, TypeError, r"face must be RGB \[B, 3, 32, 32\] .*; got NoneType None"),
        ({"right": None}, TypeError, r"right must be RGB \[B, 3, 58, 86\] .*; got NoneType None"),
        ({"left": None}, TypeError, r"left must be RGB \[B, 3, 58, 86\] .*; got NoneType None"),
        ({"face": INPUTS["right"]}, ValueError, r"face must be RGB .*; got .*\[3, 3, 58, 86\]"),
        ({"right": INPUTS["face"]}, ValueError, r"right must be RGB .*; got .*\[3, 3, 32, 32\]"),
        ({"left": INPUTS["left"] - 1}, ValueError, "left must be RGB .*; got values from"),
        ({"right": INPUTS["right"][:1]}, ValueError, r"right must have shape \[3, 3, 58, 86\]; got .*\[1, 3, 58, 86\]"),
        ({"left": INPUTS["left"][:1]}, ValueError, r"left must have shape \[3, 3, 58, 86\]; got .*\[1, 3, 58, 86\]"),
    ],
)
def test_bad_input_is_named(change, error, message):
    with pytest.raises(error, match=message):
        dilated_net()(**INPUTS | change)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"eye_size": (36, 60)}, ValueError, "eye_size must be 58 × 86 or more, .*; got 36 × 60. .*eye_crops"),
        ({"eye_size": (57, 86)}, ValueError, "eye_size must be 58 × 86 or more, .*; got 57 × 86"),
        ({"eye_size": (58, 85)}, ValueError, "eye_size must be 58 × 86 or more, .*; got 58 × 85"),
        ({"size": 15}, ValueError, "size must leave feature maps of 1 × 1 or more; 15 × 15 is too small"),
        ({"width": -1}, ValueError, "width must be a finite number above 0; got -1"),
    ],
)
def test_a_network_that_cannot_be_built_says_why(options, error, message):
    with pytest.raises(error, match=message):
        dilated_net(**options)
