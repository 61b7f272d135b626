"""What the checks of notebook 03 compare answers with is what the library does."""

import torch

from gazecourse.exercises import alexnet as exercises
from gazecourse.models import AlexNet, layers


def test_reference_of_parameters_is_the_library():
    for arguments in ((3, 96, 11, 1), (96, 256, 5, 2), (8, 8, 3, 8)):
        assert exercises._conv_parameters(*arguments) == layers.conv_parameters(*arguments)


def test_reference_of_receptive_field_is_the_library():
    stack = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)]
    for count in range(len(stack) + 1):
        assert exercises._receptive_field(stack[:count]) == layers.receptive_field(stack[:count])


def test_regressor_starts_near_zero_and_keeps_what_was_learned():
    torch.manual_seed(0)
    trained = AlexNet(1000, size=64, width=0.05, stride=2).eval()
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    network = exercises._gaze_regressor(trained)
    gaze = network(torch.rand(8, 3, 64, 64))
    assert gaze.shape == (8, 2)
    assert gaze.abs().max() < 0.5
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items() if not name.startswith("classifier.6"))
