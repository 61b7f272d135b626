"""PureGaze against torchvision's ResNets, parameter counts worked out by hand, and its decoder written out."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from gazecourse.models import CANet, FullFace
from gazecourse.models.puregaze import PureGaze, ResNetGaze, SAModule, purify, resnet_features

QUICK = {"width": 0.125}


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def small(size=64, **options):
    torch.manual_seed(1)
    return PureGaze(size, **{**QUICK, **options}).eval()


def quick_full_face():
    torch.manual_seed(1)
    return FullFace(112, form="two_tower", width=0.25, stride=2, weights_std=None).eval()


def count(module):
    return sum(p.numel() for p in module.parameters())


def with_statistics(module, *inputs):
    """In evaluation mode, after BatchNorm has seen some inputs: with those of a new layer, it would do nothing."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.2, 0.2)
            layer.momentum = 1.0
    with torch.no_grad():
        module.train()(*inputs)
    return module.eval()


# ---------------------------------------------------------------------- parameters and shapes


def decoder_parameters(channels, widths):
    """Two residual blocks a stage, a 1 × 1 shortcut where the width changes, and three colors."""
    total = 0
    for width in widths:
        total += 9 * channels * width + 3 * 9 * width * width  # four convolutions without bias
        total += 4 * 2 * width  # their BatchNorms
        if channels != width:
            total += channels * width + 2 * width
        channels = width
    return total + 3 * channels + 3


@pytest.mark.parametrize(
    ("depth", "channels", "backbone", "perceptron", "decoder"),
    [
        (18, 512, 11_176_512, 512 * 1000 + 1000 + 2000 + 2, 4_107_923),
        (50, 2048, 23_508_032, 2048 * 1000 + 1000 + 2000 + 2, 8_040_083),
    ],
)
def test_parameters_at_full_width(depth, channels, backbone, perceptron, decoder):
    with torch.device("meta"):
        model = PureGaze(depth=depth)
    assert model.maps == (channels, 7, 7)
    assert count(model.backbone) == backbone
    assert count(model.mlp) == perceptron
    assert count(model.sa_module) == decoder == decoder_parameters(channels, (256, 128, 64, 32, 16))
    assert count(model) == backbone + perceptron + decoder


def test_resnet_50_decoder_has_the_papers_8_04_million_parameters():
    assert round(decoder_parameters(2048, (256, 128, 64, 32, 16)) / 1e6, 2) == 8.04
    assert round(23_508_032 / 1e6, 2) == 23.51


def test_without_hidden_units_one_layer_leads_to_the_gaze():
    model = ResNetGaze(64, hidden=None, **QUICK)
    assert [tuple(p.shape) for p in model.mlp.parameters()] == [(2, 64), (2,)]
    assert ResNetGaze(64, hidden=80, width=0.5).mlp[0].out_features == 40


def test_decoder_doubles_7_by_7_five_times_to_224():
    decoder = SAModule(8, (8, 8, 8, 8, 4))
    drawing = decoder(rand(2, 8, 7, 7))
    assert drawing.shape == (2, 3, 224, 224)
    assert drawing.min() > 0
    assert drawing.max() <= 1
    assert SAModule(8, (4, 4))(rand(1, 8, 3, 5)).shape == (1, 3, 12, 20)


@pytest.mark.parametrize(
    ("options", "maps", "drawing"),
    [
        ({"size": 64}, (2, 2), (64, 64)),
        ({"size": (64, 96)}, (2, 3), (64, 96)),
        ({"size": 64, "widths": (16, 8, 4)}, (2, 2), (16, 16)),
        ({"size": 48, "stride": 16, "widths": (8, 8, 8, 8)}, (3, 3), (48, 48)),
    ],
)
def test_maps_and_drawings_of_other_sizes(options, maps, drawing):
    model = small(**options)
    gaze, drawn = model(rand(2, 3, *model.size), reconstruct=True)
    assert model.maps == (64, *maps)
    assert gaze.shape == (2, 2)
    assert drawn.shape == (2, 3, *drawing)


# ---------------------------------------------------------------------- the backbone is torchvision's


@pytest.mark.parametrize("depth", [18, 50])
def test_backbone_is_torchvisions_resnet_up_to_the_pooling(depth):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None)
    images = rand(2, 3, 48, 48)
    with_statistics(theirs, images)
    with torch.device("meta"):
        ours = resnet_features(depth).eval()
    state = {name: values for name, values in theirs.state_dict().items() if not name.startswith("fc.")}
    ours.load_state_dict(state, assign=True)  # every name and every shape fits, none is left over
    seen = []
    theirs.avgpool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        theirs(images)
        torch.testing.assert_close(ours(images), seen[0])
    assert seen[0].shape == (2, 512 if depth == 18 else 2048, 2, 2)


def test_resnet_34_has_torchvisions_names_and_shapes():
    with torch.device("meta"):
        ours, theirs = resnet_features(34), torchvision.models.resnet34(weights=None)
    shapes = {name: values.shape for name, values in theirs.state_dict().items() if not name.startswith("fc.")}
    assert {name: values.shape for name, values in ours.state_dict().items()} == shapes


@pytest.mark.parametrize("depth", [18, 50])
def test_stride_16_gives_images_of_half_the_size_the_same_maps_from_as_many_weights(depth):
    fine, coarse = resnet_features(depth, stride=16, **QUICK), resnet_features(depth, **QUICK)
    for size in (32, 40, 48):
        maps = fine(rand(2, 3, size, size)).shape
        assert maps == coarse(rand(2, 3, 2 * size, 2 * size)).shape
        assert maps[2] == -(-size // 16), "rounded up"
    assert {n: p.shape for n, p in fine.named_parameters()} == {n: p.shape for n, p in coarse.named_parameters()}


def test_convolutions_start_from_kaimings_normal_distribution_by_fan_out():
    torch.manual_seed(0)
    for layer in (resnet_features(18, width=0.5).layer3[1].conv1, SAModule(64, (128,)).stages[0][1].conv2):
        assert layer.weight.std().item() == pytest.approx((2 / (9 * layer.out_channels)) ** 0.5, rel=0.01)


def test_gaze_is_the_perceptron_of_the_averaged_maps_of_standardized_faces():
    images = rand(3, 3, 64, 64)
    model = with_statistics(small(), images)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    z = model.backbone((images - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))
    torch.testing.assert_close(model.features(images), z)
    first, last = model.mlp[0], model.mlp[2]
    hidden = (z.flatten(2).mean(2) @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(model(images), hidden @ last.weight.T + last.bias)


def test_building_a_model_leaves_batch_norm_without_statistics_and_in_training():
    model = PureGaze(64, **QUICK)
    assert model.backbone.bn1.num_batches_tracked == 0
    assert not model.backbone.bn1.running_mean.any()
    assert all(module.training for module in model.modules())


# ---------------------------------------------------------------------- the decoder


def written_out(decoder, z):
    """The SA-module in evaluation mode, with nothing but functions."""

    def norm(x, layer):
        return F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=1e-5)

    def block(x, layer):
        y = F.relu(norm(F.conv2d(x, layer.conv1.weight, padding=1), layer.bn1))
        y = norm(F.conv2d(y, layer.conv2.weight, padding=1), layer.bn2)
        if layer.conv1.in_channels != layer.conv1.out_channels:
            convolution, batch_norm = layer.downsample
            x = norm(F.conv2d(x, convolution.weight), batch_norm)
        return F.relu(y + x)

    for _, first, second in decoder.stages:
        z = z.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)  # nearest neighbor
        z = block(block(z, first), second)
    return 1 / (1 + torch.exp(-F.conv2d(z, decoder.color.weight, decoder.color.bias)))


@pytest.mark.parametrize("widths", [(6, 4, 4), (12,)])
def test_decoder_is_upsampling_and_residual_blocks_written_out(widths):
    torch.manual_seed(0)
    z = torch.randn(3, 6, 2, 3)
    decoder = with_statistics(SAModule(6, widths), z)
    drawing = decoder(z)
    torch.testing.assert_close(drawing, written_out(decoder, z))
    assert drawing.std() > 0.01


def test_drawing_and_gaze_come_from_the_same_features_of_one_pass():
    images = rand(2, 3, 64, 64)
    model = with_statistics(small(), images)
    calls = []
    model.backbone.register_forward_hook(lambda *_: calls.append("backbone"))
    model.sa_module.register_forward_hook(lambda *_: calls.append("decoder"))
    gaze, drawing = model(images, reconstruct=True)
    assert calls == ["backbone", "decoder"]
    torch.testing.assert_close(drawing, model.sa_module(model.features(images)))
    calls.clear()
    assert torch.equal(model(images), gaze)
    assert calls == ["backbone"], "without a drawing the decoder is not needed"


# ---------------------------------------------------------------------- plug and play


def test_purified_full_face_gives_the_gaze_of_the_plain_model():
    plain, images = quick_full_face(), rand(2, 3, 112, 112)
    expected = plain(images)
    purified = purify(plain).eval()
    gaze, drawing = purified(images, reconstruct=True)
    assert torch.equal(gaze, expected)
    assert torch.equal(purified(images), expected)
    assert drawing.shape == (2, 3, 96, 96), "6 × 6, doubled four times"
    torch.testing.assert_close(drawing, purified.sa_module(plain.features(plain.input(images))))
    assert count(purified) == count(plain) + count(purified.sa_module)
    assert count(purified.sa_module) == decoder_parameters(plain.spatial_weights.conv1.in_channels, (128, 64, 32, 16))


def test_purified_model_watches_its_layer_during_the_call_only():
    purified, images = purify(quick_full_face(), widths=(8,)).eval(), rand(1, 3, 112, 112)
    purified(images, reconstruct=True)
    assert not purified.gaze_model.features._forward_hooks
    with pytest.raises(ValueError, match="image must be RGB"):
        purified(images[:, :2], reconstruct=True)
    assert not purified.gaze_model.features._forward_hooks


def test_gradient_of_a_drawing_reaches_the_layers_below_z_and_none_above():
    purified = purify(quick_full_face(), widths=(8,))
    purified(rand(2, 3, 112, 112), reconstruct=True)[1].sum().backward()
    silent = {name.split(".")[0] for name, p in purified.gaze_model.named_parameters() if p.grad is None}
    assert silent == {"spatial_weights", "fc1", "fc2", "fc3"}


def test_purified_ca_net_takes_face_and_eyes():
    torch.manual_seed(1)
    plain = CANet(32, eye_size=(16, 16), width=0.125).eval()
    inputs = rand(2, 3, 32, 32), rand(2, 3, 16, 16, seed=1), rand(2, 3, 16, 16, seed=2)
    gaze, drawing = purify(plain).eval()(*inputs, reconstruct=True)
    assert torch.equal(gaze, plain(*inputs))
    assert drawing.shape == (2, 3, 32, 32)


def test_purifying_changes_neither_mode_nor_statistics_of_the_model():
    model = ResNetGaze(64, **QUICK)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    purified = purify(model, at="backbone")
    assert all(module.training for module in purified.modules())
    assert all(torch.equal(before[name], values) for name, values in model.state_dict().items())
    assert len(purified.sa_module.stages) == 5


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: small(100), ValueError, "4 × 4 doubled 5 times, 128 × 128, or a whole multiple of it; got 100 × 100"),
        (lambda: small((64, 48)), ValueError, "64 × 64, or a whole multiple of it; got 64 × 48"),
        (lambda: small(64, widths=(8,) * 6), ValueError, "doubled 6 times, 128 × 128"),
        (lambda: small(32, stride=16), ValueError, "2 × 2 doubled 5 times, 64 × 64, .* got 32 × 32"),
        (lambda: small(64, widths=()), ValueError, r"widths must be one channel number per stage; got tuple \(\)"),
        (lambda: small(64, widths=16), ValueError, "widths must be one channel number per stage; got int 16"),
        (lambda: small(64, widths=(8, 0)), ValueError, "widths must be 1 or more; got 0"),
        (lambda: small(64, depth=101), ValueError, "depth must be one of 18, 34, 50; got 101"),
        (lambda: small(64, stride=4), ValueError, "stride must be one of 16, 32; got 4"),
        (lambda: small(64, width=0), ValueError, "width must be a finite number above 0"),
        (lambda: small(64, hidden=0), ValueError, "hidden must be 1 or more; got 0"),
        (lambda: small("64"), TypeError, "size must be a whole number; got str '64'"),
        (lambda: SAModule(0), ValueError, "channels must be 1 or more; got 0"),
        (lambda: SAModule(8, (4,))(torch.rand(2, 4, 3, 3)), ValueError, r"z must be feature maps \[B, 8, h, w\]; got"),
        (lambda: SAModule(8, (4,))(torch.rand(8, 3, 3)), ValueError, r"z must be feature maps .* got .*\[8, 3, 3\]"),
        (lambda: SAModule(8, (4,))(None), ValueError, "z must be feature maps .* got NoneType"),
    ],
)
def test_bad_options_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (rand(2, 3, 64, 64) * 255, ValueError, r"in \[0, 1\]; got values from .* Divide by 255"),
        (rand(2, 3, 64, 64) - 0.5, ValueError, "The network shifts and scales them itself"),
        (rand(2, 3, 64, 64) * torch.nan, ValueError, "got values from nan to nan"),
        (rand(2, 3, 32, 32), ValueError, r"image must be RGB \[B, 3, 64, 64\] in \[0, 1\]; got .*\[2, 3, 32, 32\]"),
        (rand(3, 64, 64), ValueError, "needs a batch axis"),
    ],
)
def test_bad_images_are_refused_by_name(images, error, message):
    model = small()
    for reconstruct in (False, True):
        with pytest.raises(error, match=message):
            model(images, reconstruct=reconstruct)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": "backbone"}, "at must be the name of a layer, such as 'input', 'features', .*; got 'backbone'"),
        ({"at": ""}, "at must be the name of a layer"),
        ({"at": "fc1"}, r"layer that turns faces \[B, 3, 112, 112\] into feature maps; 'fc1' does not"),
        ({"at": "spatial_weights"}, "'spatial_weights' does not"),
        ({"at": "features.3"}, "'features.3' does not"),
        ({"widths": (8,) * 5}, "at most 4 stages, for a map of 6 × 6 doubled more often is larger .* 112 × 112; got 5"),
        ({"widths": 3}, "widths must be one channel number per stage; got int 3"),
    ],
)
def test_layers_and_widths_that_cannot_be_purified_are_named(options, message):
    model = quick_full_face().train()
    with pytest.raises(ValueError, match=message):
        purify(model, **options)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("model", [nn.Linear(2, 2), None, FullFace])
def test_purify_refuses_what_is_no_gaze_model(model):
    with pytest.raises(TypeError, match="model must be a gaze model with the size of its faces; got"):
        purify(model)
