"""A random part of a data set shows everybody, where every n-th image may not."""

import pytest
import torch

from gazecourse.subsets import Subsets


class Faces(Subsets):
    """Image i shows person i mod 10, as in rendered sets."""

    def __init__(self, count=600):
        self.person = torch.arange(count) % 10
        self.number = torch.arange(count)

    def __len__(self):
        return len(self.person)

    def _keep(self, rows):
        self.person, self.number = self.person[rows], self.number[rows]


def test_some_faces_are_of_everybody_and_in_their_order():
    faces = Faces()
    assert faces.subset(range(0, 600, 10)).people == [0], "every tenth image shows one person"
    some = faces.some(60)
    assert len(some) == 60
    assert some.people == list(range(10))
    assert torch.equal(some.number, some.number.unique())
    assert len(faces) == 600


def test_some_faces_are_those_of_the_seed_and_all_where_there_are_no_more():
    faces = Faces()
    assert torch.equal(faces.some(60).number, faces.some(60, seed=0).number)
    assert not torch.equal(faces.some(60).number, faces.some(60, seed=1).number)
    assert torch.equal(faces.some(9_000).number, faces.number)


@pytest.mark.parametrize(
    ("count", "seed", "error", "message"),
    [
        (0, 0, ValueError, "count must be 1 or more; got 0"),
        (1.5, 0, TypeError, "count must be a whole number"),
        (5, -1, ValueError, "seed must be 0 or more; got -1"),
    ],
)
def test_bad_arguments_are_named(count, seed, error, message):
    with pytest.raises(error, match=message):
        Faces().some(count, seed)
