"""Eye networks and iTracker: each looks at what it says it looks at, and at nothing else."""

import copy

import pytest
import torch

from gazecourse.models import EyeNet, ITracker

WIDTH, EYE, FACE, COUNT = 0.1, (36, 60), 64, 2


def rand(*shape, seed):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


RIGHT, LEFT, OTHER = (rand(COUNT, 3, *EYE, seed=seed) for seed in range(3))
FACES, OTHER_FACES = (rand(COUNT, 3, FACE, FACE, seed=seed) for seed in (3, 4))
HEAD, OTHER_HEAD = (rand(COUNT, 2, seed=seed) - 0.5 for seed in (5, 6))
GRID, OTHER_GRID = (rand(COUNT, 25, 25, seed=seed) for seed in (7, 8))


def eye_net(eyes=2, **options):
    torch.manual_seed(0)
    return EyeNet(eyes, EYE, width=WIDTH, **options).eval()


def itracker(**options):
    torch.manual_seed(0)
    return ITracker(FACE, width=WIDTH, stride=2, **options).eval()


def sees(model, inputs, **change):
    """Whether the output changes with one of the inputs."""
    before = model(**inputs)
    assert before.shape == (COUNT, 2)
    after = model(**{**inputs, **change})
    assert torch.equal(before, model(**inputs)), "evaluation is deterministic"
    return not torch.equal(before, after)


# ---------------------------------------------------------------------- eyes

BOTH = {"right": RIGHT, "left": LEFT, "head": HEAD}


@pytest.mark.parametrize("eyes", [1, 2])
@pytest.mark.parametrize("head_pose", [True, False])
def test_eye_net_sees_the_right_eye_the_left_with_two_eyes_and_the_head_if_asked(eyes, head_pose):
    model = eye_net(eyes, head_pose=head_pose)
    assert sees(model, BOTH, right=OTHER)
    assert sees(model, BOTH, left=OTHER) == (eyes == 2)
    assert sees(model, BOTH, head=OTHER_HEAD) == head_pose


def test_what_a_network_does_not_look_at_may_be_missing():
    assert torch.equal(eye_net(1, head_pose=False)(RIGHT), eye_net(1, head_pose=False)(**BOTH))
    assert torch.equal(eye_net(1)(RIGHT, head=HEAD), eye_net(1)(**BOTH))
    assert torch.equal(eye_net(2, head_pose=False)(RIGHT, LEFT), eye_net(2, head_pose=False)(**BOTH))


def test_each_eye_of_eye_net_has_convolutions_of_its_own():
    model = eye_net(2, head_pose=False)
    single = sum(p.numel() for p in model.features["right"].parameters())
    assert sum(p.numel() for p in model.features.parameters()) == 2 * single
    model(RIGHT, LEFT).sum().backward()
    for name in ("right", "left"):
        assert model.features[name][0].weight.grad.any()
    assert not torch.equal(model.features["right"][0].weight, model.features["left"][0].weight)


def test_left_crop_is_not_mirrored():
    assert sees(eye_net(2, head_pose=False), {"right": RIGHT, "left": LEFT}, left=LEFT.flip(3))


def test_head_pose_reaches_the_output_as_it_is():
    """Two more inputs to the last hidden layer, behind the eyes' units."""
    with_head, without = eye_net(2), eye_net(2, head_pose=False)
    assert with_head.gaze[0].in_features == without.gaze[0].in_features + 2


@pytest.mark.parametrize("head_pose", [True, False])
@pytest.mark.parametrize("eyes", [1, 2])
def test_the_gradient_reaches_every_parameter_of_eye_net(eyes, head_pose):
    model = eye_net(eyes, head_pose=head_pose).train()
    model(**BOTH).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_dropout_of_eye_net_is_off_at_evaluation_and_on_in_training():
    model = eye_net(2)
    assert torch.equal(model(**BOTH), model(**BOTH))
    model.train()
    assert not torch.equal(model(**BOTH), model(**BOTH))


# ---------------------------------------------------------------------- iTracker

ALL = {"face": FACES, "right": RIGHT, "left": LEFT, "grid": GRID}
CHANGES = {"face": OTHER_FACES, "right": OTHER, "left": OTHER, "grid": OTHER_GRID}


@pytest.mark.parametrize("name", list(CHANGES))
def test_itracker_sees_everything_and_face_only_the_face(name):
    change = {name: CHANGES[name]}
    assert sees(itracker(), ALL, **change)
    assert sees(itracker(face_only=True), ALL, **change) == (name == "face")


def test_itracker_face_only_needs_the_face_alone():
    model = itracker(face_only=True)
    assert torch.equal(model(FACES), model(**ALL))


def test_eyes_of_itracker_share_their_weights():
    """With the two halves of the first layer behind the eyes exchanged, exchanged eyes give the same gaze."""
    model = itracker()
    assert not torch.allclose(model(**ALL), model(FACES, LEFT, RIGHT, GRID))
    exchanged = copy.deepcopy(model)
    first = exchanged.eyes[0].weight
    with torch.no_grad():
        first.copy_(torch.cat(first.chunk(2, dim=1)[::-1], dim=1))
    torch.testing.assert_close(exchanged(FACES, LEFT, RIGHT, GRID), model(**ALL))


def test_units_of_itracker_are_the_papers():
    model = itracker()
    assert [layer.out_features for layer in model.eyes if hasattr(layer, "out_features")] == [128]
    assert [layer.out_features for layer in model.face if hasattr(layer, "out_features")] == [128, 64]
    assert [layer.out_features for layer in model.grid if hasattr(layer, "out_features")] == [256, 128]
    assert model.grid[0].in_features == 625
    assert model.gaze[0].in_features == 128 + 64 + 128
    assert model.gaze[0].out_features == 128


@pytest.mark.parametrize("face_only", [True, False])
def test_the_gradient_reaches_every_parameter_of_itracker(face_only):
    model = itracker(face_only=face_only).train()
    model(**ALL).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


# ---------------------------------------------------------------------- bad input


def without(inputs, name):
    return {key: value for key, value in inputs.items() if key != name}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: eye_net()(RIGHT, None, HEAD),
            ValueError,
            r"left must be an eye crop .*; got None\. gazecourse\.crops",
        ),
        (lambda: eye_net(head_pose=False)(None, LEFT), ValueError, "right must be an eye crop .*; got None"),
        (lambda: eye_net()(RIGHT, LEFT), TypeError, "head must be .* got NoneType None. Head pose goes in as .pitch"),
        (lambda: eye_net()(RIGHT, LEFT, HEAD[:1]), ValueError, r"head must have shape \[2, 2\]; got .*\[1, 2\]"),
        (lambda: eye_net()(RIGHT, LEFT, rand(2, 3, seed=0)), ValueError, r"head must have shape .*\[2, 3\]"),
        (lambda: eye_net()(RIGHT, LEFT, HEAD * torch.nan), ValueError, "head must be finite"),
        (lambda: eye_net()(rand(2, 3, 60, 36, seed=0), LEFT, HEAD), ValueError, r"right must be RGB \[B, 3, 36, 60\]"),
        (lambda: eye_net()(RIGHT, rand(2, 3, 60, 36, seed=0), HEAD), ValueError, r"left must be RGB \[B, 3, 36, 60\]"),
        (lambda: EyeNet(3), ValueError, "eyes must be one of 1, 2; got 3"),
        (lambda: EyeNet(2, (8, 8)), ValueError, "size must leave feature maps"),
        (lambda: EyeNet(2, form="tower"), ValueError, "form must be one of"),
        (lambda: itracker()(**without(ALL, "right")), ValueError, "right must be an eye crop .*; got None"),
        (lambda: itracker()(**without(ALL, "left")), ValueError, "left must be an eye crop .*; got None"),
        (lambda: itracker()(**without(ALL, "grid")), ValueError, r"grid must be the face grid \[2, 25, 25\]; got None"),
        (lambda: itracker()(**ALL | {"grid": GRID[:1]}), ValueError, r"grid must be .*\[2, 25, 25\]; got .*\[1, 25"),
        (lambda: itracker()(**ALL | {"grid": GRID.flatten(1)}), ValueError, r"grid must be .*; got .*\[2, 625\]"),
        (lambda: itracker()(**ALL | {"right": FACES}), ValueError, r"right must be RGB \[B, 3, 36, 60\]"),
        (lambda: itracker()(**ALL | {"left": FACES}), ValueError, r"left must be RGB \[B, 3, 36, 60\]"),
        (lambda: itracker()(**ALL | {"face": RIGHT}), ValueError, r"face must be RGB \[B, 3, 64, 64\]"),
        (lambda: itracker()(**ALL | {"face": None}), TypeError, "face must be RGB .*; got NoneType None"),
        (lambda: ITracker(4), ValueError, "size must be 8 or more"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_missing_right_eye_is_named_also_where_the_head_pose_goes_in():
    with pytest.raises(ValueError, match="right must be an eye crop"):
        eye_net()(None, LEFT, HEAD)


def test_a_single_right_eye_is_told_to_take_a_batch_axis():
    with pytest.raises(ValueError, match=r"right must be RGB .* A single image needs a batch axis"):
        eye_net()(RIGHT[0], LEFT[0], HEAD[:1])


@pytest.mark.parametrize(
    "call",
    [
        lambda: eye_net()(RIGHT, LEFT[:1], HEAD),
        lambda: itracker()(**ALL | {"left": LEFT[:1]}),
        lambda: itracker()(**ALL | {"left": LEFT[:1], "right": RIGHT[:1]}),
    ],
)
def test_crops_of_another_batch_are_named(call):
    with pytest.raises(ValueError, match=r"(left|right) must"):
        call()


@pytest.mark.parametrize("head", [HEAD.numpy(), HEAD.double()], ids=["array", "float64"])
def test_head_pose_of_another_kind_is_taken_or_named(head):
    try:
        assert eye_net()(RIGHT, LEFT, head).shape == (COUNT, 2)
    except (TypeError, ValueError) as error:
        assert str(error).startswith("head must")  # noqa: PT017


@pytest.mark.parametrize("grid", [GRID.numpy(), GRID.double(), GRID > 0.5], ids=["array", "float64", "bool"])
def test_face_grid_of_another_kind_is_taken_or_named(grid):
    try:
        assert itracker()(**ALL | {"grid": grid}).shape == (COUNT, 2)
    except (TypeError, ValueError) as error:
        assert str(error).startswith("grid must")  # noqa: PT017


@pytest.mark.parametrize(
    "build",
    [
        lambda: EyeNet(1, 60, width=WIDTH, head_pose=False)(rand(1, 3, 60, 60, seed=0)),
        lambda: ITracker((FACE, FACE), face_only=True, width=WIDTH)(FACES),
        lambda: ITracker("a"),
    ],
    ids=["one number for eyes", "two numbers for a face", "a string"],
)
def test_sizes_are_checked_as_in_the_other_networks(build):
    try:
        assert build().shape[1] == 2
    except (TypeError, ValueError) as error:
        assert "size must be a whole number" in str(error)  # noqa: PT017


def test_a_face_grid_that_is_a_list_is_named():
    with pytest.raises((TypeError, ValueError), match="grid must"):
        itracker()(**ALL | {"grid": GRID.tolist()})
