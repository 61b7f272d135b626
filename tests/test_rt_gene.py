"""RT-Gene: its layers against sums done by hand, and what it looks at."""

import pytest
import torch

from gazecourse.models import RTGene
from gazecourse.models.vgg import VGG16, vgg_features

WIDTH, EYE, COUNT = 0.1, (36, 60), 3


def rand(*shape, seed):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


INPUTS = {"right": rand(COUNT, 3, *EYE, seed=0), "left": rand(COUNT, 3, *EYE, seed=1), "head": rand(COUNT, 2, seed=2)}
OTHERS = {"right": rand(COUNT, 3, *EYE, seed=3), "left": rand(COUNT, 3, *EYE, seed=4), "head": -rand(COUNT, 2, seed=5)}


def rt_gene(**options):
    torch.manual_seed(0)
    return RTGene(**{"width": WIDTH, **options}).eval()


def parameters(module):
    return sum(p.numel() for p in module.parameters())


# ---------------------------------------------------------------------- layers

# 3 × 3 weights and biases of the thirteen convolutions: (9 · inputs + 1) · outputs
VGG16_PARAMETERS = (
    28 * 64 + 577 * 64
    + 577 * 128 + 1153 * 128
    + 1153 * 256 + 2 * 2305 * 256
    + 2305 * 512 + 2 * 4609 * 512
    + 3 * 4609 * 512
)  # fmt: skip


@pytest.fixture(scope="module")
def full():
    return RTGene()


def test_vgg16_has_the_published_number_of_parameters(full):
    assert VGG16_PARAMETERS == 14_714_688
    assert [parameters(stack) for stack in full.features.values()] == [VGG16_PARAMETERS] * 2


def test_rt_gene_has_the_parameters_of_its_layers(full):
    eye = 512 * 1024 + 1024 + 2 * 1024  # weights, biases, scale and shift of BatchNorm
    both = 2048 * 512 + 512 + 2 * 512
    gaze = 514 * 256 + 256 + 2 * 256 + 256 * 2 + 2
    assert parameters(full) == 2 * VGG16_PARAMETERS + 2 * eye + both + gaze == 31_667_074


def test_vgg16_bears_torchvisions_names_so_that_its_weights_fit():
    with torch.device("meta"):
        from torchvision.models import vgg16

        theirs, ours = vgg16(weights=None).features.state_dict(), vgg_features().state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}


@pytest.mark.parametrize(("plan", "shape"), [(VGG16, (48, 1, 2)), (VGG16[:9], (24, 12, 16)), (VGG16[:5], (16, 24, 32))])
def test_vgg_halves_the_map_at_every_pool_and_scales_its_channels(plan, shape):
    assert vgg_features(plan, width=0.1)(torch.zeros(1, 3, 48, 64)).shape[1:] == shape


def test_vgg_without_batch_norm_keeps_the_size_of_its_signal_through_thirteen_layers():
    torch.manual_seed(0)
    maps = vgg_features([step for step in VGG16 if step != "pool"], width=0.25)(
        torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    )
    assert 0.1 < maps.std() < 10


def test_batch_norm_is_in_the_stack_only_where_asked_for():
    kinds = [type(layer).__name__ for layer in vgg_features(VGG16[:3], norm=True)]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    assert not any("BatchNorm2d" in type(layer).__name__ for layer in rt_gene().features.modules())


# ---------------------------------------------------------------------- what it sees


def test_rt_gene_gives_one_gaze_for_each_pair_of_eyes():
    assert rt_gene()(**INPUTS).shape == (COUNT, 2)


@pytest.mark.parametrize("name", list(INPUTS))
def test_rt_gene_sees_both_eyes_and_the_head(name):
    model = rt_gene()
    assert not torch.allclose(model(**INPUTS), model(**INPUTS | {name: OTHERS[name]}))


def test_each_eye_has_a_vgg16_of_its_own_and_is_not_mirrored():
    model = rt_gene()
    right, left = (model.features[name][0].weight for name in ("right", "left"))
    assert not torch.equal(right, left)
    assert not torch.allclose(model(**INPUTS), model(**INPUTS | {"left": INPUTS["left"].flip(3)}))


def test_head_pose_goes_in_beside_the_units_of_both_eyes():
    model = rt_gene()
    assert model.gaze[0].in_features == model.both[0].out_features + 2
    with torch.no_grad():
        model.gaze[0].weight[:, -2:] = 0
    assert torch.equal(model(**INPUTS), model(**INPUTS | {"head": OTHERS["head"]}))


def test_faces_of_a_batch_do_not_mix_at_evaluation():
    model = rt_gene()
    alone = model(**{name: value[:1] for name, value in INPUTS.items()})
    torch.testing.assert_close(model(**INPUTS)[:1], alone)


def test_evaluation_is_deterministic_and_leaves_the_statistics_alone():
    model = rt_gene()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert torch.equal(model(**INPUTS), model(**INPUTS))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_gradient_reaches_every_parameter_of_rt_gene():
    model = rt_gene()  # at evaluation: in training, BatchNorm subtracts what the biases before it add
    model(**INPUTS).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_head_pose_may_be_an_array_or_double():
    model = rt_gene()
    for head in (INPUTS["head"].numpy(), INPUTS["head"].double()):
        assert torch.equal(model(**INPUTS | {"head": head}), model(**INPUTS))


def test_crops_of_another_size_are_taken_by_a_network_built_for_them():
    model = rt_gene(size=(40, 64))
    assert model(rand(1, 3, 40, 64, seed=0), rand(1, 3, 40, 64, seed=1), rand(1, 2, seed=2)).shape == (1, 2)


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"right": None}, TypeError, r"right must be RGB \[B, 3, 36, 60\] .*; got NoneType None"),
        ({"left": None}, TypeError, r"left must be RGB \[B, 3, 36, 60\] .*; got NoneType None"),
        ({"left": INPUTS["left"].transpose(2, 3)}, ValueError, r"left must be RGB .*; got .*\[3, 3, 60, 36\]"),
        ({"right": 255 * INPUTS["right"]}, ValueError, r"right must be RGB .*; got values from .* Divide by 255"),
        ({"left": INPUTS["left"][:1]}, ValueError, r"left must have shape \[3, 3, 36, 60\]; got .*\[1, 3, 36, 60\]"),
        ({"head": None}, TypeError, "head must be .*; got NoneType None. Head pose goes in as .pitch, yaw., radians"),
        ({"head": rand(COUNT, 3, seed=0)}, ValueError, r"head must have shape \[3, 2\]; got .*\[3, 3\]"),
        ({"head": INPUTS["head"][:1]}, ValueError, r"head must have shape \[3, 2\]; got .*\[1, 2\]"),
        ({"head": INPUTS["head"] * torch.nan}, ValueError, "head must be finite"),
    ],
)
def test_bad_input_is_named(change, error, message):
    with pytest.raises(error, match=message):
        rt_gene()(**INPUTS | change)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"size": (24, 60)}, ValueError, "size must leave feature maps of 1 × 1 or more; 24 × 60 is too small"),
        ({"size": "36"}, TypeError, "size must be a whole number"),
        ({"width": 0}, ValueError, "width must be a finite number above 0; got 0"),
    ],
)
def test_a_network_that_cannot_be_built_says_why(options, error, message):
    with pytest.raises(error, match=message):
        rt_gene(**options)
