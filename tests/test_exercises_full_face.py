"""What the checks of notebook 04 compare answers with is what the library does."""

import math

import torch
from torch import nn

from gazecourse import models
from gazecourse.exercises import full_face as exercises
from gazecourse.exercises.full_face import check
from gazecourse.models.full_face import Weigh


def test_a_module_that_is_the_stub_still_is_not_started():
    class Stub(nn.Module):
        def __init__(self, channels):
            super().__init__()
            raise NotImplementedError

    assert check.exercises["SpatialWeights"].judge(Stub).state == "not started"


# --- the library's versions ---------------------------------------------------------------------


def test_initial_values_are_those_of_the_library():
    module = models.SpatialWeights(300)
    for name, (deviation, bias) in exercises.START.items():
        layer = getattr(module, name)
        assert math.isclose(layer.weight.std().item(), deviation, rel_tol=0.2)
        assert bool((layer.bias == bias).all())


def test_normalized_gradient_is_the_librarys():
    u, w, gradient = torch.randn(2, 5, 3, 4), torch.rand(2, 1, 3, 4), torch.randn(2, 5, 3, 4)
    leaves = u.clone().requires_grad_(), w.clone().requires_grad_()
    Weigh.apply(*leaves).backward(gradient)
    for leaf, wanted in zip(leaves, exercises._weigh_backward(u, w, gradient), strict=True):
        torch.testing.assert_close(leaf.grad, wanted)
