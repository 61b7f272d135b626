"""The one form of all gaze data: batching keeps what every sample has."""

import pytest
import torch
from torch.utils.data import DataLoader

from gazecourse.sample import Sample, collate


def sample(person, **changes):
    labels = {
        "image": torch.full((3, 4, 5), person, dtype=torch.uint8),
        "gaze": torch.tensor([0.1 * person, -0.2]),
        "head": torch.tensor([0.3, 0.4]),
        "landmarks": torch.rand(68, 2),
        "person": person,
        "domain": "studio",
        "factors": {"age": torch.tensor(float(person))},
    }
    return Sample(**{**labels, **changes})


def test_collate_stacks_every_label_in_order():
    first, second = sample(1), sample(2, domain="wild")
    batch = collate([first, second])
    assert batch.image.shape == (2, 3, 4, 5)
    assert batch.image.dtype == torch.uint8
    assert torch.equal(batch.gaze, torch.stack([first.gaze, second.gaze]))
    assert torch.equal(batch.head[1], second.head)
    assert torch.equal(batch.landmarks[0], first.landmarks)
    assert batch.person.tolist() == [1, 2]
    assert batch.domain == ["studio", "wild"]
    assert batch.factors["age"].tolist() == [1.0, 2.0]


def test_collate_drops_a_label_and_a_factor_that_any_sample_lacks():
    batch = collate([sample(1), sample(2, landmarks=None, factors={"light": torch.ones(3)})])
    assert batch.landmarks is None
    assert batch.head is not None
    assert batch.factors == {}


def test_collate_serves_a_data_loader():
    loader = DataLoader([sample(person) for person in range(5)], batch_size=2, collate_fn=collate)
    assert [batch.person.tolist() for batch in loader] == [[0, 1], [2, 3], [4]]


def test_collate_leaves_a_batch_as_it_is():
    batch = collate([sample(1), sample(2)])
    assert collate(batch) is batch


def test_to_moves_every_tensor_and_keeps_the_rest():
    moved = collate([sample(1), sample(2)]).to("meta")
    assert all(getattr(moved, name).device.type == "meta" for name in ("image", "gaze", "head", "landmarks", "person"))
    assert moved.factors["age"].device.type == "meta"
    assert moved.domain == ["studio", "studio"]
    assert sample(1, head=None).to("meta").head is None
    assert sample(1).to("meta").person == 1


def test_float_image_spans_0_to_1():
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1)
    scaled = sample(1, image=image).float_image()
    assert scaled.dtype == torch.float32
    assert scaled.flatten().tolist() == pytest.approx([0, 0.2, 1])


def test_samples_do_not_share_their_factors():
    first, second = (Sample(torch.zeros(3, 1, 1, dtype=torch.uint8), torch.zeros(2)) for _ in range(2))
    first.factors["age"] = torch.ones(())
    assert second.factors == {}
