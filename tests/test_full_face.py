"""Full-Face against its paper: the parameters, the start, and the gradient that is divided by the number of maps."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from gazecourse.models import FullFace, SpatialWeights
from gazecourse.models.full_face import Weigh

SMALL = {"size": 64, "width": 0.1, "stride": 2, "weights_std": None}


def rand(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def small(**changes):
    torch.manual_seed(1)
    options = {**SMALL, **changes}
    return FullFace(options.pop("size"), options.pop("output", "3d"), **options).eval()


def vivid(model, images):
    """The same network with a weight map that varies around 1 and is zero in places."""
    block = model.spatial_weights
    with torch.no_grad():
        hidden = torch.relu(block.conv2(torch.relu(block.conv1(model.features(model.input(images))))))
        nn.init.normal_(block.conv3.weight)
        raw = torch.nn.functional.conv2d(hidden, block.conv3.weight)
        block.conv3.weight *= 2 / raw.std()
        block.conv3.bias.fill_(0.5 - 2 * raw.median() / raw.std())
    return model


@pytest.fixture(scope="module")
def papers():
    """The network of the paper without its 0.8 GB of weights."""
    with torch.device("meta"):
        return FullFace(448)


# ---------------------------------------------------------------------- the network of the paper


def test_full_face_at_448_has_196_604_483_parameters(papers):
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in papers.named_children()}
    assert sum(counts.values()) == sum(p.numel() for p in papers.parameters()) == 196_604_483
    assert counts["spatial_weights"] == 2 * (256 * 256 + 256) + 257
    assert counts["fc1"] == 43_264 * 4096 + 4096


def test_fc1_has_43_264_inputs_from_256_maps_of_13_by_13(papers):
    assert papers.fc1.in_features == 256 * 13 * 13 == 43_264
    images = torch.empty(2, 3, 448, 448, device="meta")
    assert tuple(papers.features(images).shape) == (2, 256, 13, 13)
    assert tuple(papers.fc3.weight.shape) == (2, 4096)
    assert tuple(papers.fc2.weight.shape) == (4096, 4096)


@pytest.mark.parametrize("form", ["one_tower", "two_tower"])
def test_faces_of_224_pixels_give_maps_of_6_by_6(form):
    with torch.device("meta"):
        model = FullFace(224, form=form, width=0.1)
        maps = model.features(torch.empty(1, 3, 224, 224))
    assert tuple(maps.shape[2:]) == (6, 6)
    assert model.fc1.in_features == maps.shape[1] * 36


def test_outputs_and_stages_have_the_promised_shapes():
    model, images = small(), rand(3, 3, 64, 64, dtype=torch.float32)
    channels, hidden = model.spatial_weights.conv1.in_channels, model.fc1.out_features
    height, width = model.weight_map(images).shape[1:]
    shapes = {name: tuple(values.shape) for name, values in model.stages(images).items()}
    assert shapes == {
        "conv5": (3, channels, height, width),
        "weighted conv5": (3, channels, height, width),
        "fc": (3, hidden),
    }
    assert model(images).shape == (3, 2)


def test_forward_is_the_papers_formula_written_out():
    images = rand(2, 3, 64, 64, dtype=torch.float32)
    model = vivid(small(), images)
    u = model.features(model.input(images))
    w = u
    for layer in (model.spatial_weights.conv1, model.spatial_weights.conv2, model.spatial_weights.conv3):
        w = (torch.einsum("oc,bchw->bohw", layer.weight[:, :, 0, 0], w) + layer.bias.view(1, -1, 1, 1)).clamp(min=0)
    hidden = (w * u).flatten(1)
    for layer in (model.fc1, model.fc2):
        hidden = (hidden @ layer.weight.T + layer.bias).clamp(min=0)
    expected = hidden @ model.fc3.weight.T + model.fc3.bias
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------- the start


def assert_normal(weight, deviation):
    """Mean and deviation of N(0, deviation²), within five times their sampling errors."""
    count = weight.numel()
    assert weight.mean().item() == pytest.approx(0, abs=5 * deviation / math.sqrt(count))
    assert weight.std().item() == pytest.approx(deviation, rel=5 / math.sqrt(2 * count))


def test_spatial_weights_start_as_the_paper_says():
    torch.manual_seed(0)
    block = SpatialWeights()
    for layer, deviation, bias, outputs in (
        (block.conv1, 0.01, 0.1, 256),
        (block.conv2, 0.01, 0.1, 256),
        (block.conv3, 0.001, 1.0, 1),
    ):
        assert tuple(layer.weight.shape) == (outputs, 256, 1, 1)
        assert_normal(layer.weight, deviation)
        assert torch.equal(layer.bias, torch.full((outputs,), bias))


def test_fully_connected_layers_start_as_the_known_re_implementation():
    torch.manual_seed(0)
    model = FullFace(224, width=0.25)
    for layer, deviation, bias in ((model.fc1, 0.005, 1.0), (model.fc2, 1e-4, 0.0), (model.fc3, 1e-4, 0.0)):
        assert_normal(layer.weight, deviation)
        assert torch.equal(layer.bias, torch.full_like(layer.bias, bias))


def test_weights_std_none_leaves_pytorchs_start_and_others_are_taken_in_order():
    torch.manual_seed(0)
    model = FullFace(112, width=0.25, weights_std=None)
    for layer in (model.fc1, model.fc2):
        bound = 1 / math.sqrt(layer.in_features)  # uniform in ±bound
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert 0 < layer.bias.abs().max() <= bound
    model = FullFace(112, width=0.25, weights_std=(0.3, 0.2, 0.1))
    for layer, deviation in ((model.fc1, 0.3), (model.fc2, 0.2), (model.fc3, 0.1)):
        assert_normal(layer.weight, deviation)


def test_weight_map_starts_close_to_1_everywhere():
    torch.manual_seed(0)
    model = FullFace(224, width=0.25).eval()
    weights = model.weight_map(rand(4, 3, 224, 224, dtype=torch.float32))
    assert (weights - 1).abs().max() < 0.05
    assert weights.std() > 0, "close to 1, but not without any difference to learn from"


# ---------------------------------------------------------------------- the gradient of section 3.3


@pytest.mark.parametrize("maps", [4, 256])
def test_gradient_of_weigh_is_the_papers_written_out(maps):
    u, w, upstream = (rand(2, n, 3, 5, seed=n).numpy() - 0.3 for n in (maps, 1, maps + 1))
    upstream = upstream[:, :maps]
    expected_u, expected_w = np.zeros_like(u), np.zeros_like(w)
    for image in range(2):
        for row in range(3):
            for column in range(5):
                at = (image, slice(None), row, column)
                expected_u[at] = w[image, 0, row, column] * upstream[at]
                expected_w[image, 0, row, column] = np.dot(u[at], upstream[at]) / maps
    tensors = [torch.from_numpy(values).requires_grad_() for values in (u, w)]
    v = Weigh.apply(*tensors)
    np.testing.assert_allclose(v.detach().numpy(), w * u)
    v.backward(torch.from_numpy(upstream))
    np.testing.assert_allclose(tensors[0].grad.numpy(), expected_u)
    np.testing.assert_allclose(tensors[1].grad.numpy(), expected_w)


def test_gradient_of_the_maps_agrees_with_finite_differences_and_that_of_w_is_1_over_n_of_them():
    maps = 4
    u, w = rand(2, maps, 3, 3).requires_grad_(), rand(2, 1, 3, 3, seed=1)
    assert torch.autograd.gradcheck(lambda u: Weigh.apply(u, w), (u,))

    weighting = rand(2, maps, 3, 3, seed=2)  # an arbitrary loss: Σ weighting · V
    w = w.requires_grad_()
    (weighting * Weigh.apply(u, w)).sum().backward()
    step, place = 1e-6, (1, 0, 2, 1)
    with torch.no_grad():
        moved = w.clone()
        moved[place] += step
        slope = ((weighting * Weigh.apply(u, moved)).sum() - (weighting * Weigh.apply(u, w)).sum()) / step
    assert w.grad[place].item() == pytest.approx(slope.item() / maps, rel=1e-6)


@pytest.mark.parametrize("maps", [4, 256])
def test_gradient_of_w_is_autograds_divided_by_the_number_of_maps(maps):
    u, upstream = rand(3, maps, 6, 6) - 0.4, rand(3, maps, 6, 6, seed=1) - 0.5
    w, plain_w = (rand(3, 1, 6, 6, seed=2).requires_grad_() for _ in range(2))
    Weigh.apply(u, w).backward(upstream)
    (plain_w * u).backward(upstream)
    torch.testing.assert_close(w.grad, plain_w.grad / maps, rtol=1e-12, atol=1e-14)
    assert w.grad.abs().max() > 1e-3


def plain_and_normalized(channels, dtype=torch.float64):
    """Gradients of a block's parameters and of U: by autograd throughout, and by the course's."""
    torch.manual_seed(3)
    block = SpatialWeights(channels).to(dtype)
    for layer in (block.conv1, block.conv2, block.conv3):
        nn.init.normal_(layer.weight, std=channels**-0.5)
    u, upstream = rand(2, channels, 5, 5).to(dtype), (rand(2, channels, 5, 5, seed=1) - 0.5).to(dtype)

    def gradients(weigh):
        leaf = u.clone().requires_grad_()
        block.zero_grad()
        weigh(leaf).backward(upstream)
        return {"u": leaf.grad} | {name: p.grad.clone() for name, p in block.named_parameters()}

    return block, u, upstream, gradients(lambda leaf: block.weights(leaf) * leaf), gradients(block)


@pytest.mark.parametrize("channels", [4, 256])
def test_every_parameter_behind_w_learns_at_1_over_n_of_the_plain_pace(channels):
    _, _, _, plain, normalized = plain_and_normalized(channels)
    for name, values in plain.items():
        if name != "u":
            assert values.any(), name
            torch.testing.assert_close(normalized[name], values / channels, rtol=1e-9, atol=1e-12, msg=name)


def test_gradient_of_u_keeps_its_path_through_v_whole_and_divides_that_through_w():
    channels = 8
    block, u, upstream, plain, normalized = plain_and_normalized(channels)
    through_v = block.weights(u) * upstream
    torch.testing.assert_close(normalized["u"], through_v + (plain["u"] - through_v) / channels)
    assert (normalized["u"] - plain["u"]).abs().max() > 1e-3


@pytest.mark.parametrize("channels", [4, 256])
def test_gradient_is_right_under_bfloat16_autocast(channels):
    block, u, upstream, _, exact = plain_and_normalized(channels, torch.float32)
    for dtype in (torch.float32, torch.bfloat16):  # of U: the block's own input, or that of a layer under autocast
        leaf = u.detach().clone().to(dtype).requires_grad_()
        block.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            v = block(leaf)
        v.backward(upstream.to(v.dtype))
        assert leaf.grad.dtype == dtype
        found = {"u": leaf.grad} | {name: p.grad for name, p in block.named_parameters()}
        for name, values in exact.items():
            error = (found[name].float() - values).norm() / values.norm()
            assert error < 0.15, f"{name} is off by {error:.0%}"
            if name != "u":
                assert found[name].dtype == torch.float32


def test_the_whole_network_trains_under_bfloat16_autocast():
    torch.manual_seed(0)
    model = small().train()
    images = rand(4, 3, 64, 64, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        gaze = model(images)
    gaze.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.spatial_weights.conv3.weight.grad.any()


def test_the_gradient_reaches_every_parameter():
    model = small().train()
    model(rand(4, 3, 64, 64, dtype=torch.float32)).square().sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


# ---------------------------------------------------------------------- what the options do


def test_screen_points_are_100_times_the_last_layer():
    angles, points = small(), small(output="2d")
    points.load_state_dict(angles.state_dict())
    images = rand(2, 3, 64, 64, dtype=torch.float32)
    torch.testing.assert_close(points(images), 100 * angles.fc3(angles.stages(images)["fc"]))
    torch.testing.assert_close(points(images), 100 * angles(images))


def test_weight_map_is_what_forward_multiplies_the_maps_by():
    images = rand(4, 3, 64, 64, dtype=torch.float32)
    model = vivid(small(), images)
    weights, stages = model.weight_map(images), model.stages(images)
    assert weights.shape == (4, *stages["conv5"].shape[2:])
    assert (weights >= 0).all()
    assert (weights == 0).any(), "ReLU silences some places of this map"
    assert weights.max() > 2
    assert torch.equal(stages["weighted conv5"], weights.unsqueeze(1) * stages["conv5"])
    torch.testing.assert_close(model(images), model.fc3(stages["fc"]))


def test_weight_map_does_not_depend_on_dropout():
    images = rand(2, 3, 64, 64, dtype=torch.float32)
    model = vivid(small(), images)
    assert torch.equal(model.weight_map(images), model.train().weight_map(images))


def test_without_spatial_weights_the_maps_pass_unchanged_and_there_is_no_weight_map():
    model, images = small(spatial_weights=False), rand(2, 3, 64, 64, dtype=torch.float32)
    stages = model.stages(images)
    assert torch.equal(stages["weighted conv5"], stages["conv5"])
    with pytest.raises(ValueError, match="no weight map; it was built with spatial_weights=False"):
        model.weight_map(images)
    channels = small().spatial_weights.conv1.in_channels
    missing = sum(p.numel() for p in small().parameters()) - sum(p.numel() for p in model.parameters())
    assert missing == 2 * (channels**2 + channels) + channels + 1


def test_dropout_silences_units_of_both_hidden_layers_in_training_only():
    model, images = small(dropout=0.75), rand(2, 3, 64, 64, dtype=torch.float32)
    assert torch.equal(model(images), model(images))
    seen = {}
    for name in ("fc2", "fc3"):
        getattr(model, name).register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0]}))
    for layer in (model.fc1, model.fc2):  # no unit is silent by itself
        nn.init.zeros_(layer.weight)
        nn.init.ones_(layer.bias)
    model(images)
    assert all((values == 0).sum() == 0 for values in seen.values())
    model.train()
    model(images)
    for name, values in seen.items():
        assert (values == 0).float().mean().item() == pytest.approx(0.75, abs=0.1), name


def test_form_width_and_stride_reach_the_convolutions():
    model = small(form="two_tower", width=0.25)
    assert model.features[0].weight.shape == (24, 3, 11, 11)
    assert model.features[0].stride == (2, 2)
    assert model.features[3].groups == 2
    assert model.fc1.out_features == model.fc2.out_features == 1024


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"output": "4d"}, ValueError, "output must be one of '2d', '3d'; got '4d'"),
        ({"form": "tower"}, ValueError, "form must be one of"),
        ({"size": 9}, ValueError, "size must leave feature maps"),
        ({"size": "448"}, TypeError, "size must be a whole number; got str '448'"),
        ({"width": -1.0}, ValueError, "width must be a finite number above 0"),
        ({"dropout": 1.5}, ValueError, "dropout"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        small(**options)


def test_a_wrong_number_of_deviations_is_named():
    with pytest.raises(ValueError, match="weights_std"):
        small(weights_std=(0.1, 0.1))


@pytest.mark.parametrize("shape", [(2, 3, 6, 6), (4, 6, 6), (2, 4)])
def test_spatial_weights_refuse_other_maps_by_name(shape):
    with pytest.raises(ValueError, match=r"u must be feature maps \[B, 4, h, w\]; got tensor of shape"):
        SpatialWeights(4)(torch.rand(shape))


@pytest.mark.parametrize(
    ("call", "message"),
    [(lambda: small(weights_std=0.1), "weights_std must"), (lambda: SpatialWeights(4)(None), "u must")],
    ids=["one deviation", "no maps"],
)
def test_values_of_another_kind_are_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
