"""CA-Net: its layers against sums done by hand, coarse and fine apart, and the feature map in between."""

import copy

import pytest
import torch

from gazecourse.models import CANet
from gazecourse.models.ca_net import EyeAttention
from gazecourse.models.inputs import ImageInput

WIDTH, FACE, EYE, COUNT = 0.1, 48, (36, 60), 3


def rand(*shape, seed):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def images(seed):
    eyes = {name: rand(COUNT, 3, *EYE, seed=seed + 1 + i) for i, name in enumerate(("right", "left"))}
    return {"face": rand(COUNT, 3, FACE, FACE, seed=seed), **eyes}


INPUTS, OTHERS = images(seed=0), images(seed=3)
EYES = {name: INPUTS[name] for name in ("right", "left")}
SWAPPED = {"right": INPUTS["left"], "left": INPUTS["right"]}


def ca_net(**options):
    torch.manual_seed(0)
    return CANet(**{"size": FACE, "eye_size": EYE, "width": WIDTH, **options}).eval()


def stages(model, **change):
    inputs = INPUTS | change
    return model.stages(model.features(inputs["face"]), inputs["right"], inputs["left"])


def parameters(module):
    return sum(p.numel() for p in module.parameters())


# ---------------------------------------------------------------------- layers


@pytest.fixture(scope="module")
def full():
    return CANet()


def test_ca_net_has_the_parameters_of_its_layers(full):
    convolutions = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 512)]
    convolutions += 5 * [(512, 512)]
    sums = [(9 * inputs + 1) * outputs + 2 * outputs for inputs, outputs in convolutions]  # BatchNorm has 2 a channel
    gru = 3 * (512 * 256 + 256 * 256 + 2 * 256)  # three gates, each with weights for input and state, and two biases
    attention = (256 * 256 + 256) + 512 * 256 + 256
    gaze = 2 * (256 * 2 + 2)
    assert (parameters(full.features), parameters(full.eye_features)) == (sum(sums), sum(sums[:10]))
    assert parameters(full) == sum(sums) + sum(sums[:10]) + gru + attention + gaze == 23_153_284


@pytest.mark.parametrize(("size", "maps"), [(112, (48, 7, 7)), (224, (48, 14, 14)), ((64, 48), (48, 4, 3))])
def test_the_feature_map_is_16_times_smaller_than_the_face(size, maps):
    model = ca_net(size=size)
    assert model.maps == maps
    assert model.features(torch.zeros(1, 3, *model.size)).shape[1:] == maps


def test_one_gru_cell_makes_both_steps():
    cells = [module for module in ca_net().modules() if isinstance(module, torch.nn.RNNCellBase)]
    assert len(cells) == 1


def test_building_the_network_does_not_touch_its_statistics():
    model = CANet(FACE, width=WIDTH)
    assert all(module.training for module in model.modules())
    means = [buffer for name, buffer in model.named_buffers() if name.endswith("running_mean")]
    assert len(means) == 13 + 10
    assert not any(mean.any() for mean in means)


# ---------------------------------------------------------------------- feature map


def test_forward_is_regress_on_features():
    model = ca_net()
    gaze = model(**INPUTS)
    assert gaze.shape == (COUNT, 2)
    assert torch.equal(gaze, model.regress(model.features(INPUTS["face"]), **EYES))


def test_features_is_a_layer_that_a_hook_can_watch():
    model = ca_net()
    seen = []
    with model.get_submodule("features").register_forward_hook(lambda _, given, maps: seen.append((*given, maps))):
        model(**INPUTS)
    [(face, maps)] = seen
    assert torch.equal(face, INPUTS["face"])
    assert torch.equal(maps, model.features(INPUTS["face"]))


def test_features_takes_raw_faces_and_standardizes_them():
    model = ca_net()
    assert torch.equal(model.features(INPUTS["face"]), model.features.vgg(ImageInput((FACE, FACE))(INPUTS["face"])))


def test_the_face_reaches_the_gaze_through_the_feature_map_alone():
    model = ca_net()
    maps = model.features(INPUTS["face"]).detach().requires_grad_()
    model.regress(maps, **EYES).sum().backward()
    assert maps.grad.flatten(1).any(1).all()


# ---------------------------------------------------------------------- coarse and fine


def test_gaze_is_the_sum_of_basic_gaze_and_residual():
    model = ca_net()
    parts = stages(model)
    assert torch.equal(model(**INPUTS), parts["basic"] + parts["residual"])


@pytest.mark.parametrize("name", ["right", "left"])
def test_eyes_change_the_residual_and_not_the_basic_gaze(name):
    model = ca_net()
    before, after = stages(model), stages(model, **{name: OTHERS[name]})
    assert torch.equal(before["basic"], after["basic"])
    assert not torch.allclose(before["residual"], after["residual"], rtol=0, atol=1e-6)


def test_the_face_changes_basic_gaze_residual_and_attention():
    model = ca_net()
    before, after = stages(model), stages(model, face=OTHERS["face"])
    for part in ("basic", "residual", "attention"):
        assert not torch.equal(before[part], after[part]), part


def test_the_basic_gaze_gives_the_eyes_no_gradient():
    model = ca_net()
    stages(model)["basic"].sum().backward()
    assert all(p.grad is None for p in model.eye_features.parameters())
    assert model.features.vgg[0].weight.grad.any()


def test_the_residual_knows_the_face_through_the_grus_state():
    model = ca_net()
    with torch.no_grad():  # attention at rest: what is left of the face comes through the state
        model.attention.score.weight.zero_()
    before, after = stages(model), stages(model, face=OTHERS["face"])
    assert torch.equal(before["attention"], after["attention"])
    assert not torch.equal(before["residual"], after["residual"])


# ---------------------------------------------------------------------- attention


def test_attention_sums_to_one_and_is_even_for_equal_eyes():
    model = ca_net()
    torch.testing.assert_close(stages(model)["attention"].sum(1), torch.ones(COUNT))
    even = stages(model, left=INPUTS["right"])["attention"]
    torch.testing.assert_close(even, torch.full((COUNT, 2), 0.5))


def test_attention_is_the_softmax_of_additive_scores():
    attention = EyeAttention(state=2, features=3, units=4)
    state, eyes = rand(1, 2, seed=0), rand(1, 2, 3, seed=1)
    weights = {name: value.detach().double().numpy() for name, value in attention.named_parameters()}

    def score(eye):
        hidden = (
            weights["state.weight"] @ state[0].numpy() + weights["state.bias"] + weights["eye.weight"] @ eye.numpy()
        )
        return torch.tensor((weights["score.weight"] @ torch.tensor(hidden).tanh().numpy())[0])

    right, left = (score(eye).exp() for eye in eyes[0])
    torch.testing.assert_close(attention(state, eyes)[0, 0].double(), right / (right + left))


def test_an_eye_that_attention_leaves_out_does_not_count():
    model = ca_net()

    class RightOnly(torch.nn.Module):
        def forward(self, state, eyes):
            return torch.tensor([1.0, 0.0]).expand(len(state), 2)

    model.attention = RightOnly()
    assert torch.equal(model(**INPUTS), model(**INPUTS | {"left": OTHERS["left"]}))
    assert not torch.equal(model(**INPUTS), model(**INPUTS | {"right": OTHERS["right"]}))


def test_eyes_share_their_weights_so_that_exchanged_eyes_exchange_their_attention():
    model = ca_net()
    before, after = stages(model), stages(model, **SWAPPED)
    torch.testing.assert_close(after["attention"], before["attention"].flip(1))
    torch.testing.assert_close(after["residual"], before["residual"])


# ---------------------------------------------------------------------- training and evaluation


def test_the_gradient_reaches_every_parameter_of_ca_net():
    model = ca_net()  # at evaluation: in training, BatchNorm subtracts what the biases before it add
    model(**INPUTS).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_evaluation_is_deterministic_and_leaves_the_statistics_alone():
    model = ca_net()
    before = copy.deepcopy(model.state_dict())
    assert torch.equal(model(**INPUTS), model(**INPUTS))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_faces_of_a_batch_do_not_mix_at_evaluation():
    model = ca_net()
    alone = model(**{name: value[:1] for name, value in INPUTS.items()})
    torch.testing.assert_close(model(**INPUTS)[:1], alone)


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"face": None}, TypeError, r"face must be RGB \[B, 3, 48, 48\] .*; got NoneType None"),
        ({"right": None}, TypeError, r"right must be RGB \[B, 3, 36, 60\] .*; got NoneType None"),
        ({"left": None}, TypeError, r"left must be RGB \[B, 3, 36, 60\] .*; got NoneType None"),
        ({"face": INPUTS["right"]}, ValueError, r"face must be RGB .*; got .*\[3, 3, 36, 60\]"),
        ({"face": INPUTS["face"] * torch.nan}, ValueError, "face must be RGB .*; got values from nan"),
        ({"right": INPUTS["face"]}, ValueError, r"right must be RGB .*; got .*\[3, 3, 48, 48\]"),
        ({"right": INPUTS["right"][:1]}, ValueError, r"right must have shape \[3, 3, 36, 60\]; got .*\[1, 3, 36, 60\]"),
        ({"left": INPUTS["left"][:1]}, ValueError, r"left must have shape \[3, 3, 36, 60\]; got .*\[1, 3, 36, 60\]"),
    ],
)
def test_bad_input_is_named(change, error, message):
    with pytest.raises(error, match=message):
        ca_net()(**INPUTS | change)


@pytest.mark.parametrize(
    ("feature_map", "error", "message"),
    [
        (None, TypeError, r"feature_map must be a tensor .*; got NoneType None. CANet.features\(face\) gives it"),
        (torch.zeros(3, 47, 3, 3), ValueError, r"feature_map must have shape \[B, 48, h, w\]; got .*\[3, 47, 3, 3\]"),
        (torch.zeros(3, 48), ValueError, r"feature_map must have shape \[B, 48, h, w\]; got .*\[3, 48\]"),
    ],
)
def test_a_feature_map_of_another_network_is_named(feature_map, error, message):
    with pytest.raises(error, match=message):
        ca_net().regress(feature_map, **EYES)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"size": 15}, ValueError, "size must leave feature maps of 1 × 1 or more; 15 × 15 is too small"),
        ({"eye_size": (4, 60)}, ValueError, "size must be 8 or more"),
        ({"width": 0}, ValueError, "width must be a finite number above 0; got 0"),
    ],
)
def test_a_network_that_cannot_be_built_says_why(options, error, message):
    with pytest.raises(error, match=message):
        ca_net(**options)
