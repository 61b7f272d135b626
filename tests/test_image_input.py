"""What learners put into a network by mistake: each message names the argument, what it must be, and what to do."""

import traceback

import numpy as np
import pytest
import torch

from gazecourse.models import AlexNet, EyeNet, FullFace, GazeNet, ITracker
from gazecourse.models.inputs import IMAGENET_MEAN, IMAGENET_STD, ImageInput, check_images, check_size

SIZE = 64
GOOD = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
EYES, GRID = torch.rand(2, 3, 36, 60), torch.zeros(2, 25, 25)
WANTED = r"image must be RGB \[B, 3, 64, 64\] in \[0, 1\]; got "


def standardized(images):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images - mean) / std


def with_one(value):
    images = GOOD.clone()
    images[1, 2, 3, 4] = value
    return images


MISTAKES = {
    "bytes": (lambda: (255 * GOOD).byte(), TypeError, r"uint8\. Divide bytes by 255: batch\.float_image\(\) does\."),
    "whole numbers": (lambda: (255 * GOOD).long(), TypeError, "int64. Divide bytes by 255"),
    "an array": (lambda: GOOD.numpy(), TypeError, r"array of shape \[2, 3, 64, 64\], float32"),
    "nothing": (lambda: None, TypeError, "NoneType None"),
    "0 to 255": (lambda: 255 * GOOD, ValueError, r"values from .* to 25\d\S* Divide by 255\."),
    "-1 to 1": (lambda: 2 * GOOD - 1, ValueError, r"values from -\S+ to \S+\. The network shifts and scales them"),
    "standardized, dark": (
        lambda: standardized(0.5 * GOOD),
        ValueError,
        "values from .* The network shifts and scales them itself",
    ),
    "NaN": (lambda: with_one(torch.nan), ValueError, "values from nan to nan"),
    "infinity": (lambda: with_one(torch.inf), ValueError, "values from .* to inf"),
    "minus infinity": (lambda: with_one(-torch.inf), ValueError, "values from -inf to"),
    "one image": (lambda: GOOD[0], ValueError, r"A single image needs a batch axis: image\[None\]\."),
    "colors last": (lambda: GOOD.permute(0, 2, 3, 1), ValueError, r"colors last\. Use images\.permute\(0, 3, 1, 2\)"),
    "grayscale": (lambda: GOOD[:, :1], ValueError, r"tensor of shape \[2, 1, 64, 64\], float32"),
    "with alpha": (lambda: torch.rand(2, 4, SIZE, SIZE), ValueError, r"tensor of shape \[2, 4, 64, 64\]"),
    "no channel axis": (lambda: GOOD[0, 0], ValueError, r"tensor of shape \[64, 64\]"),
    "too large": (
        lambda: torch.rand(2, 3, 80, 80),
        ValueError,
        r"\[2, 3, 80, 80\], float32\. Use torch\.nn\.functional\.interpolate\(images, \(64, 64\), .*, or build",
    ),
    "height and width exchanged": (lambda: torch.rand(2, 3, SIZE, 65), ValueError, r"\[2, 3, 64, 65\]"),
}


def refused(call, error, message):
    """The call fails in the course's own checks, not in the depths of torch."""
    with pytest.raises(error, match=message) as info:
        call()
    place = traceback.extract_tb(info.value.__traceback__)[-1].filename
    assert "gazecourse" in place, f"raised in {place}"


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_every_usual_mistake_is_named(mistake):
    make, error, message = MISTAKES[mistake]
    refused(lambda: ImageInput((SIZE, SIZE))(make()), error, WANTED + ".*" + message.lstrip("^"))


def test_standardized_images_with_white_in_them_are_not_told_to_be_divided_by_255():
    images = GOOD.clone()
    images[:, :, 0, 0] = 1.0
    refused(lambda: ImageInput((SIZE, SIZE))(standardized(images)), ValueError, "shifts and scales them itself")


def test_infinity_is_not_told_to_be_divided_by_255():
    with pytest.raises(ValueError, match="to inf") as info:
        check_images("image", with_one(torch.inf), (SIZE, SIZE))
    assert "255" not in str(info.value)


def test_the_advice_that_is_given_works():
    check = ImageInput((SIZE, SIZE))
    enlarged = torch.rand(1, 3, 80, 90)
    resized = torch.nn.functional.interpolate(enlarged, (64, 64), mode="bilinear", antialias=True)
    for images in (resized, GOOD[0][None], GOOD.permute(0, 2, 3, 1).permute(0, 3, 1, 2), (255 * GOOD).byte() / 255):
        assert check(images).isfinite().all()


def test_images_come_out_with_imagenets_mean_and_deviation_removed():
    images = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert not ImageInput((8, 8))(images).any()
    images = images + torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    torch.testing.assert_close(ImageInput((8, 8))(images), torch.ones(1, 3, 8, 8))
    assert IMAGENET_MEAN == (0.485, 0.456, 0.406)
    assert IMAGENET_STD == (0.229, 0.224, 0.225)


def test_a_little_overshoot_of_resampling_passes_and_more_does_not():
    for value in (-0.04, 1.04):
        assert ImageInput((SIZE, SIZE))(with_one(value)).isfinite().all()
    for value in (-0.06, 1.06):
        with pytest.raises(ValueError, match="values from"):
            ImageInput((SIZE, SIZE))(with_one(value))


def test_checking_changes_neither_the_images_nor_the_gradient():
    images = GOOD.clone().requires_grad_()
    assert check_images("image", images, (SIZE, SIZE)) is images
    ImageInput((SIZE, SIZE))(images).sum().backward()
    torch.testing.assert_close(images.grad[0, :, 0, 0], 1 / torch.tensor(IMAGENET_STD))


def test_an_empty_batch_passes():
    assert ImageInput((SIZE, SIZE))(GOOD[:0]).shape == (0, 3, SIZE, SIZE)


def test_mean_and_deviation_are_no_part_of_the_weights():
    assert ImageInput((SIZE, SIZE)).state_dict() == {}


@pytest.mark.parametrize(
    ("size", "expected"), [(64, (64, 64)), ((36, 60), (36, 60)), ([36, 60], (36, 60)), (np.int64(9), (9, 9))]
)
def test_sizes_are_one_number_or_height_and_width(size, expected):
    assert check_size(size) == expected


@pytest.mark.parametrize(
    ("size", "error"), [(7, ValueError), (5000, ValueError), ((64, 64, 64), TypeError), ("64", TypeError)]
)
def test_bad_sizes_are_named(size, error):
    with pytest.raises(error, match="size must be"):
        check_size(size)


NETWORKS = {
    "AlexNet": lambda: (AlexNet(2, size=SIZE, width=0.05), "image", lambda m, x: m(x)),
    "FullFace": lambda: (FullFace(SIZE, width=0.05), "image", lambda m, x: m(x)),
    "FullFace.weight_map": lambda: (FullFace(SIZE, width=0.05), "image", lambda m, x: m.weight_map(x)),
    "FullFace.stages": lambda: (FullFace(SIZE, width=0.05), "image", lambda m, x: m.stages(x)),
    "GazeNet": lambda: (GazeNet(SIZE), "image", lambda m, x: m(x)),
    "ITracker": lambda: (ITracker(SIZE, width=0.05), "face", lambda m, x: m(x, EYES, EYES, GRID)),
    "EyeNet, right": lambda: (EyeNet(2, (SIZE, SIZE), width=0.05, head_pose=False), "right", lambda m, x: m(x, GOOD)),
    "EyeNet, left": lambda: (EyeNet(2, (SIZE, SIZE), width=0.05, head_pose=False), "left", lambda m, x: m(GOOD, x)),
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request):
    return NETWORKS[request.param]()


@pytest.mark.parametrize("mistake", [name for name in MISTAKES if name != "nothing"])
def test_every_network_checks_its_images_under_their_own_name(network, mistake):
    model, name, call = network
    make, error, message = MISTAKES[mistake]
    refused(lambda: call(model, make()), error, f"^{name} must be RGB .*{message}")


def test_double_images_as_numpy_makes_them_are_taken_or_refused_by_name():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, SIZE, SIZE)) / 255)
    assert images.dtype == torch.float64
    try:
        assert AlexNet(2, size=SIZE, width=0.05)(images).isfinite().all()
    except (TypeError, ValueError) as error:
        assert str(error).startswith("image must be")  # noqa: PT017


def test_a_network_in_bfloat16_takes_float_images():
    assert FullFace(SIZE, width=0.05).bfloat16()(GOOD).dtype == torch.bfloat16
