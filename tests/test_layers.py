"""Costs and receptive fields of layers, against hand-computed AlexNet, torch's own shapes, and experiments."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from gazecourse.models.layers import (
    Layer,
    conv_multiply_adds,
    conv_output_size,
    conv_parameters,
    layer_table,
    layers,
    receptive_field,
)


def original_alexnet():
    """Krizhevsky 2012, features only: the two-tower form with grouped convolutions."""
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Dropout(), nn.Linear(9216, 4096),
    )  # fmt: skip


@pytest.fixture(scope="module")
def alexnet_rows():
    return layers(original_alexnet(), 227)


# --- formulas -----------------------------------------------------------------------------------


def test_alexnet_conv1_by_hand():
    assert conv_output_size(227, 11, 4) == 55
    assert conv_output_size(224, 11, 4) == 54
    assert conv_parameters(3, 96, 11) == 34_944
    assert conv_multiply_adds(3, 96, 11, 55) == 105_415_200
    assert receptive_field([(11, 4)]) == 11


def test_groups_divide_weights_and_multiply_adds():
    assert conv_parameters(96, 256, 5, groups=2) == 307_456
    assert conv_parameters(96, 256, 5, bias=False) == 2 * conv_parameters(96, 256, 5, groups=2, bias=False)
    assert conv_multiply_adds(96, 256, 5, 27, groups=2) == 223_948_800
    assert conv_parameters(32, 32, 3, groups=32, bias=False) == 288


def test_kernels_and_outputs_need_not_be_square():
    assert conv_parameters(3, 8, (3, 5)) == nn.Conv2d(3, 8, (3, 5)).weight.numel() + 8
    assert conv_multiply_adds(3, 8, (3, 5), (10, 20)) == 8 * 3 * 15 * 200


def test_alexnet_receptive_field_after_pool5_is_195():
    stack = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)]
    assert receptive_field(stack) == 195
    assert receptive_field(stack[:-1]) == 163
    assert receptive_field([]) == 1


def test_dilation_spreads_the_taps():
    assert receptive_field([(3, 1, 2), (3, 1, 5)]) == 15


@given(
    size=st.integers(1, 40),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 5),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 3),
)
def test_output_size_is_that_of_a_real_convolution(size, kernel, stride, padding, dilation):
    assume(size + 2 * padding > dilation * (kernel - 1))
    conv = nn.Conv2d(1, 1, kernel, stride, padding, dilation)
    with torch.no_grad():
        out = conv(torch.zeros(1, 1, size, size))
    assert out.shape[-1] == conv_output_size(size, kernel, stride, padding, dilation)


@given(
    size=st.integers(1, 40),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 8),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 3),
    ceil=st.booleans(),
)
def test_output_size_is_that_of_real_pooling(size, kernel, stride, padding, dilation, ceil):
    assume(padding <= kernel // 2 and size + 2 * padding > dilation * (kernel - 1))
    pool = nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil)
    expected = conv_output_size(size, kernel, stride, padding, dilation, ceil=ceil)
    assert pool(torch.zeros(1, 1, size, size)).shape[-1] == expected


@given(
    groups=st.integers(1, 4),
    per_group=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.integers(1, 4),
    bias=st.booleans(),
)
def test_parameters_are_those_of_a_real_convolution(groups, per_group, kernel, bias):
    channels, filters = (groups * n for n in per_group)
    conv = nn.Conv2d(channels, filters, kernel, groups=groups, bias=bias)
    expected = sum(p.numel() for p in conv.parameters())
    assert conv_parameters(channels, filters, kernel, groups, bias=bias) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv_output_size(10, 11), r"kernel must fit into the padded input, 10 \+ 2·0 = 10"),
        (lambda: conv_output_size(10, 4, dilation=4), "it reaches over 13"),
        (lambda: conv_output_size(10, 3, stride=0), "stride must be 1 or more"),
        (lambda: conv_output_size(10, 3, padding=-1), "padding must be 0 or more"),
        (lambda: conv_parameters(3, 96, 11, groups=2), "groups must divide in_channels; 3 / 2 is not whole"),
        (lambda: conv_parameters(4, 5, 3, groups=2), "groups must divide out_channels"),
        (lambda: conv_parameters(3, 4, (3, 3, 3)), r"kernel must be one number or \(height, width\)"),
        (lambda: conv_multiply_adds(3, 4, 3, 0), "output must be 1 or more"),
        (lambda: receptive_field([(3, 1), (3,)]), r"layers\[1\] must be"),
        (lambda: receptive_field([(3, 0)]), r"stride of layers\[0\] must be 1 or more"),
    ],
)
def test_impossible_values_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_fractions_of_pixels_are_refused():
    with pytest.raises(TypeError, match="kernel must be a whole number"):
        conv_output_size(10, 2.5)


# --- whole models -------------------------------------------------------------------------------


def test_original_alexnet_layer_by_layer(alexnet_rows):
    assert alexnet_rows[0] == Layer("0", "Conv2d", (96, 55, 55), 34_944, 105_415_200, 11, 4)
    assert alexnet_rows[2] == Layer("3", "Conv2d", (256, 27, 27), 307_456, 223_948_800, 51, 8)
    assert [row.shape for row in alexnet_rows if row.kind == "Conv2d"][2:] == [(384, 13, 13)] * 2 + [(256, 13, 13)]
    assert alexnet_rows[7] == Layer("12", "MaxPool2d", (256, 6, 6), 0, 0, 195, 32)
    assert alexnet_rows[-1] == Layer("15", "Linear", (4096,), 37_752_832, 9216 * 4096, None, None)


@pytest.mark.parametrize(("name", "total"), [("alexnet", 61_100_840), ("mobilenet_v2", 3_504_872)])
def test_torchvision_models_add_up(name, total):
    rows = layers(getattr(torchvision.models, name)(weights=None), 224)
    assert sum(row.parameters for row in rows) == total


def test_torchvision_multiply_adds_are_the_published_ones():
    rows = layers(torchvision.models.mobilenet_v2(weights=None), 224)
    assert sum(row.multiply_adds for row in rows) == pytest.approx(300e6, rel=0.01)
    assert next(row for row in rows if row.name == "features.18.0").receptive_field == 491


def test_normalization_layers_are_one_row():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    assert [(row.name, row.parameters) for row in layers(model, 9)] == [
        ("0", 112),
        ("3", 148),
        ("2 × BatchNorm2d", 16),
    ]


class Branches(nn.Module):
    """A skip connection, a shared layer, parameters of its own, and a layer that never runs."""

    def __init__(self):
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 4, 3, padding=1)
        self.short, self.long = nn.Conv2d(4, 4, 1, stride=2), nn.Conv2d(4, 4, 5, stride=2, padding=2)
        self.after = nn.Conv2d(4, 1, 3)
        self.scale, self.unused = nn.Parameter(torch.ones(5)), nn.Linear(2, 2)

    def forward(self, image):
        features = F.relu(self.block(self.block(self.stem(image))))
        return self.after(self.short(features) + self.long(features))


def test_every_parameter_is_counted_once():
    model = Branches()
    rows = layers(model, 65)
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in model.parameters())
    assert [row.parameters for row in rows if row.name == "block"] == [148, 0]
    assert {row.name: row.parameters for row in rows if row.kind == "parameters"} == {"(model)": 5, "unused": 6}


def test_receptive_fields_follow_branches():
    seen = {row.name: (row.receptive_field, row.stride) for row in layers(Branches(), 65)}
    trunk = [(3, 2), (3, 1), (3, 1)]
    assert seen["short"] == (receptive_field(trunk), 4)
    assert seen["long"] == (receptive_field([*trunk, (5, 2)]), 4)
    assert seen["after"] == (receptive_field([*trunk, (5, 2), (3, 1)]), 4)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 2)

    def forward(self, image):
        features = self.second(F.avg_pool2d(F.max_pool2d(self.first(image), 3, stride=2), 2))
        return self.head(features.mean(dim=(2, 3)))


def test_functional_pooling_counts_as_well():
    rows = layers(Functional(), 40)
    assert [row.receptive_field for row in rows] == [3, receptive_field([(3, 1), (3, 2), (2, 2), (3, 1)]), None]


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weights, features):
        return weights * features


class OwnGradient(nn.Module):
    def forward(self, features):
        return Scale.apply(features, features)


def test_a_gradient_of_ones_own_does_not_hide_the_receptive_field():
    rows = layers(nn.Sequential(nn.Conv2d(3, 4, 5), OwnGradient(), nn.Conv2d(4, 4, 3)), 20)
    assert rows[-1].receptive_field == 7


def test_upsampling_halves_the_stride():
    decoder = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3))
    assert [(row.receptive_field, row.stride) for row in layers(decoder, 43)] == [(3, 4), (3, 2), (7, 2)]
    transposed = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ConvTranspose2d(4, 2, 4, stride=2))
    row = layers(transposed, 43)[-1]
    assert (row.receptive_field, row.stride) == (7, 2)
    assert row.multiply_adds == 11 * 11 * 4 * 2 * 16


def test_adaptive_pooling():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(6), nn.AdaptiveAvgPool2d(6), nn.AdaptiveAvgPool2d(1))
    assert [(row.receptive_field, row.stride) for row in layers(model, 26)] == [(3, 1), (6, 4), (6, 4), (None, None)]


def test_recurrent_layers_cost_their_matrices_once_a_step():
    row = layers(nn.GRU(8, 5, batch_first=True), torch.zeros(2, 7, 8))[0]
    assert row.multiply_adds == 7 * 3 * 5 * (8 + 5)
    assert row.parameters == 3 * 5 * (8 + 5 + 2)


class TwoEyes(nn.Module):
    def __init__(self):
        super().__init__()
        self.eye, self.head = nn.Conv2d(1, 2, 3), nn.Linear(2 * 2 * 10 * 20 + 2, 2)

    def forward(self, left, right, head):
        return self.head(torch.cat([self.eye(left).flatten(1), self.eye(right).flatten(1), head], dim=1))


def test_several_inputs_and_batches_give_the_costs_of_one_sample():
    rows = layers(TwoEyes(), torch.rand(4, 1, 12, 22), torch.rand(4, 1, 12, 22), torch.rand(4, 2))
    assert [row.shape for row in rows] == [(2, 10, 20), (2, 10, 20), (2,)]
    assert [row.multiply_adds for row in rows] == [2 * 9 * 200, 2 * 9 * 200, 802 * 2]
    assert [row.receptive_field for row in rows] == [3, 3, None]


def test_size_may_be_height_and_width():
    assert layers(nn.Conv2d(3, 2, 3), (36, 60))[0].shape == (2, 34, 58)


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    model.train()
    model[1].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    layers(model, 8)
    assert [module.training for module in (model, *model)] == [True, True, False, True]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_hooks_and_mode_are_restored_when_the_model_fails():
    model = nn.Sequential(nn.Conv2d(3, 2, 5), nn.Conv2d(4, 2, 3))
    with pytest.raises(ValueError, match=r"inputs_or_size must suit the model; it does not run on \[1, 3, 9, 9\]"):
        layers(model, 9)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: layers(torch.zeros(3), 9), TypeError, "model must be a torch.nn.Module"),
        (lambda: layers(nn.Conv2d(3, 2, 3)), TypeError, "inputs_or_size .* got nothing"),
        (lambda: layers(nn.Conv2d(3, 2, 3), "224"), TypeError, "inputs_or_size"),
        (lambda: layers(nn.Conv2d(3, 2, 3), 0), ValueError, "inputs_or_size must be 1 or more"),
        (lambda: layers(nn.Conv2d(3, 2, 3), (3, 9, 9)), ValueError, r"inputs_or_size must be one side or \(height"),
        (lambda: layers(nn.Conv2d(3, 2, 3), torch.zeros(0, 3, 9, 9)), ValueError, "at least one sample"),
        (lambda: layer_table([]), ValueError, "layers must hold at least one"),
        (lambda: layer_table(nn.Sequential(nn.ReLU())), TypeError, "layers must be a list of Layer"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- receptive fields by experiment -------------------------------------------------------------

conv_or_pool = st.tuples(st.sampled_from(["conv", "pool"]), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))


def stack_of(specification):
    """Convolutions with all weights 1, so that nothing cancels, and max pooling."""
    modules = []
    for kind, kernel, stride, dilation in specification:
        if kind == "pool":
            modules.append(nn.MaxPool2d(kernel, stride, dilation=dilation))
        else:
            modules.append(nn.Conv2d(1, 1, kernel, stride, dilation=dilation, bias=False))
            nn.init.ones_(modules[-1].weight)
    return nn.Sequential(*modules)


@settings(max_examples=40)
@given(specification=st.lists(conv_or_pool, min_size=1, max_size=4))
def test_pixels_that_change_the_central_output_span_the_receptive_field(specification):
    expected = receptive_field([part[1:] for part in specification])
    assume(expected <= 60)
    size = 2 * expected + 3
    model = stack_of(specification)
    columns = torch.eye(size)[:, None, None, :].expand(-1, 1, size, -1)  # image i has its column i alight
    with torch.no_grad():
        outputs = model(columns)
    center = outputs.shape[-1] // 2
    influential = outputs[:, 0, 0, center].nonzero().flatten()
    assert int(influential[-1] - influential[0]) + 1 == expected
    found = layers(model, columns)[-1]
    assert found.receptive_field == expected
    if center:
        neighbors = outputs[:, 0, 0, center - 1].nonzero().flatten()
        assert int(influential[0] - neighbors[0]) == found.stride


# --- as text ------------------------------------------------------------------------------------


TABLE = """\
layer  kind       output         parameters  mult-adds/M  sees  stride
──────────────────────────────────────────────────────────────────────
0      Conv2d     96 × 55 × 55       34,944        105.4    11       4
2      MaxPool2d  96 × 27 × 27            –            –    19       8
3      Conv2d     256 × 27 × 27     307,456        223.9    51       8
5      MaxPool2d  256 × 13 × 13           –            –    67      16
6      Conv2d     384 × 13 × 13     885,120        149.5    99      16
8      Conv2d     384 × 13 × 13     663,936        112.1   131      16
10     Conv2d     256 × 13 × 13     442,624         74.8   163      16
12     MaxPool2d  256 × 6 × 6             –            –   195      32
13     Flatten    9216                    –            –   all       –
15     Linear     4096           37,752,832         37.7   all       –
──────────────────────────────────────────────────────────────────────
total                            40,086,912        703.5"""


def test_table_of_the_original_alexnet(alexnet_rows):
    assert layer_table(alexnet_rows) == TABLE


def test_long_names_keep_their_end_and_lines_stay_within_100_characters():
    model = nn.Sequential()
    model.add_module("a_rather_long_name_of_a_block_that_nobody_would_want_to_type_" * 2 + "end", nn.Conv2d(3, 2, 3))
    lines = layer_table(layers(model, 300)).splitlines()
    assert max(map(len, lines)) == 100
    assert lines[2].startswith("…")
    assert "_end  Conv2d" in lines[2]
