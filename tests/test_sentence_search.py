"""Searching faces by a sentence, without a browser: the order is that of the cosines, and unknown words are named."""

import itertools

import ipywidgets
import pytest
import torch

from gazecourse.contrastive import CaptionedFaces, image_features
from gazecourse.faces.attributes import NAMED
from gazecourse.faces.captions import UNSEEN, seen
from gazecourse.faces.domains import DOMAINS
from gazecourse.models.clip import TwoTowers
from gazecourse.tokenizer import Tokenizer
from gazecourse.widgets.screen import WIDGET_VIEW
from gazecourse.widgets.sentence_search import EXAMPLES, SentenceSearch, _shared, said

SIDE = 12


class Faces:
    """As much of a ``FaceDataset`` as is read here: 40 faces of ten people, whose first pixel tells their hat."""

    def __init__(self, count=40):
        self.factors = DOMAINS["wild"].sample(range(count), people=10, seed=0, split="test")
        self.factors = self.factors.replace(hat=torch.arange(count) % 4)
        self.images = torch.randint(
            0, 60, (count, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
        self.images[:, 0, 0, 0] = 60 * (self.factors.hat + 1).byte()
        self.gaze, self.person, self.domain = torch.zeros(count, 2), self.factors.person, "wild"

    def __len__(self):
        return len(self.images)


class Hats(TwoTowers):
    """A CLIP that knows hats: faces of one hat are alike but for a little that the second pixel says."""

    dim, size, text_width = 5, (SIDE, SIDE), 1

    def __init__(self):
        super().__init__()
        self.tokenizer = Tokenizer()
        self.scale_itself = torch.nn.Parameter(torch.tensor(10.0))

    @property
    def scale(self):
        return self.scale_itself

    def encode_image(self, image):
        hat = (image[:, 0, 0, 0] * 255 / 60).round().long() - 1
        features = torch.eye(5)[hat]
        features[:, 4] = image[:, 0, 0, 1]
        return features / features.norm(dim=1, keepdim=True)

    def encode_text(self, texts):
        self.tokenizer(texts)
        number = [next((i for i, w in ((1, "cap"), (2, "beanie"), (3, "helmet")) if w in text), 0) for text in texts]
        return torch.eye(5)[number]


@pytest.fixture(scope="module")
def faces():
    return CaptionedFaces([Faces()])


@pytest.fixture
def search(faces):
    return SentenceSearch(Hats(), faces, "a face with a beanie")


@pytest.fixture
def box(monkeypatch):
    """The box that was made during a test."""
    made = []
    kind = ipywidgets.Combobox
    monkeypatch.setattr(ipywidgets, "Combobox", lambda **settings: made.append(kind(**settings)) or made[-1])
    return made


# ---------------------------------------------------------------------- what is found


def test_best_and_least_are_those_of_the_largest_and_smallest_cosines(search, faces):
    features = image_features(Hats(), faces)
    cosines = features[:, 2] / features.norm(dim=1)
    torch.testing.assert_close(search.found.cosines, cosines)
    assert faces.facts["hat"][search.found.best].tolist() == [2] * 8
    assert cosines[search.found.best].tolist() == sorted(cosines.tolist(), reverse=True)[:8]
    assert cosines[search.found.least].tolist() == sorted(cosines.tolist())[:8]
    assert 2 not in faces.facts["hat"][search.found.least]


def test_another_sentence_finds_others_and_features_can_be_given(faces):
    features = torch.nn.functional.one_hot(torch.arange(40) % 5, 5).double().numpy()
    search = SentenceSearch(Hats(), faces, features=features, count=3)
    found = search.search("  a face with a helmet ")
    assert search.sentence == "a face with a helmet"
    assert (found.best % 5 == 3).all()
    assert len(found.best) == len(found.least) == 3


def test_what_the_best_share_is_counted_among_those_that_show_it():
    facts = {
        "hat": torch.tensor([1, 1, 1, UNSEEN, 0, 0, 0, 0]),
        "glasses": torch.tensor([3, 0, 0, 0, 0, 0, 0, 0]),
        "sex": torch.tensor([0, 1, 0, 1, 0, 1, 0, 1]),
    }
    shared = _shared(facts, torch.tensor([0, 1, 2, 3]))
    assert shared[0] == ("a cap", 3, 3, pytest.approx(3 / 7))
    assert shared[1] == ("sunglasses", 1, 4, pytest.approx(1 / 8))
    assert len(shared) == 2, "both sexes are as frequent as everywhere"
    assert said(shared[0]) == "a cap: 3 of 3, 43 % of all"


def test_the_hat_of_a_sentence_is_what_its_best_faces_share(search):
    assert search.found.shared[0] == ("a beanie", 8, 8, pytest.approx(0.25))


# ---------------------------------------------------------------------- the picture


def test_figure_shows_sixteen_faces_with_their_cosines_and_says_so(search, faces):
    fig, alt = search.figure()
    page, histogram = fig.axes
    assert len(page.images) == 16
    first = page.images[0].get_array()
    assert (first == faces.images[search.found.best[0]].permute(1, 2, 0).numpy()).all()
    words = [text.get_text() for text in page.texts]
    assert {"“a face with a beanie”", "most alike", "least alike"} <= set(words)
    assert words.count("0.00") >= 8
    assert histogram.get_xlabel() == "cosine of face and sentence"
    assert "of 40 faces the 8 best" in alt
    assert "a beanie: 8 of 8, 25 % of all" in alt


def test_pictures_stand_side_by_side_on_the_page(search):
    fig, _ = search.figure()
    extents = [image.get_extent() for image in fig.axes[0].images]
    for (_, right, _, _), (left, _, _, _) in itertools.pairwise(extents[:8]):
        assert right < left
    assert all(left >= 0 and right <= fig.get_figwidth() for left, right, _, _ in extents)
    assert extents[8][3] < extents[0][2], "the least alike below the most alike"


# ---------------------------------------------------------------------- in the notebook


def test_box_and_a_described_picture_are_shown(search, notebook, box):
    search.show()
    view, picture, spoken = notebook.shown
    assert WIDGET_VIEW in view
    assert "image/jpeg" in picture
    assert "a beanie" in picture["text/plain"]
    assert "Figure:" in spoken["text/html"]
    assert box[0].value == "a face with a beanie"
    assert box[0].options == EXAMPLES
    assert not box[0].continuous_update


def test_typing_a_sentence_shows_its_faces(search, notebook, box):
    search.show()
    box[0].value = "a face with a cap"
    (picture, metadata), (spoken, _) = notebook.updates
    assert "a cap: 8 of 8" in picture["text/plain"]
    assert metadata["image/png"]["alt"] == picture["text/plain"]
    assert "a cap: 8 of 8" in spoken["text/html"]
    assert search.sentence == "a face with a cap"


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("a face with a unicorn", "it does not know 'unicorn'"),
        ("a face with a beanies", "Did you mean 'beanie'?"),
        ("…", "text must hold a word or more"),
    ],
)
def test_unknown_words_give_one_line_and_leave_what_was_found(search, notebook, box, typed, line):
    search.show()
    before = search.found
    box[0].value = typed
    (picture, _), _ = notebook.updates
    assert picture["text/plain"].startswith("text must")
    assert line in picture["text/plain"]
    assert "\n" not in search.problem
    assert search.found is before
    assert any(line in text.get_text() for text in search.figure()[0].axes[0].texts)
    box[0].value = "a face with a helmet"
    assert search.problem == ""
    assert "unicorn" not in notebook.updates[-1][0]["text/html"]


def test_search_from_code_moves_the_box_and_draws_once(search, notebook, box):
    search.show()
    search.search("a face with a helmet")
    assert box[0].value == "a face with a helmet"
    assert len(notebook.updates) == 2, "the picture and what is read out"


def test_every_example_is_of_words_that_the_course_knows():
    Tokenizer()(EXAMPLES)
    assert all(len(example.split()) >= 3 for example in EXAMPLES)


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sentence": "a face with a unicorn"}, ValueError, "it does not know 'unicorn'"),
        ({"sentence": 3}, TypeError, "sentence must be a text; got int 3"),
        ({"clip": torch.nn.Linear(2, 2)}, TypeError, "clip must be a CLIP, .*; got Linear"),
        ({"count": 0}, ValueError, "count must be 1 or more, at most 20; got 0"),
        ({"count": 21}, ValueError, "count must be 1 or more, at most 20; got 21"),
        ({"features": torch.zeros(40, 3)}, ValueError, r"features must have shape \[40, 5\]; .*of these faces"),
    ],
)
def test_bad_arguments_are_named(faces, change, error, message):
    arguments = {"clip": Hats(), "faces": faces} | change
    with pytest.raises(error, match=message):
        SentenceSearch(arguments.pop("clip"), arguments.pop("faces"), **arguments)


def test_a_search_that_fails_changes_nothing(search):
    before = search.found
    with pytest.raises(ValueError, match="does not know 'unicorn'"):
        search.search("a unicorn")
    assert search.found is before
    assert search.sentence == "a face with a beanie"


def test_the_faces_of_these_tests_show_their_hats():
    assert torch.equal(seen(Faces().factors)["hat"], torch.arange(40) % 4)
    assert NAMED["hat"].words[2] == "a beanie"
