"""In a real browser: a typed sentence finds its faces, and an unknown word is named above what was found before."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

SEARCH = """
import torch
from gazecourse.contrastive import CaptionedFaces
from gazecourse.faces.domains import WILD
from gazecourse.faces.renderer import Renderer
from gazecourse.models import load_clip
from gazecourse.widgets.sentence_search import SentenceSearch

class Faces:
    domain = "wild"
    def __init__(self, count):
        self.factors = WILD.sample(range(count), people=count, seed=0, split="test")
        images, _ = Renderer(112).render(self.factors)
        self.images, self.person = (255 * images).byte(), self.factors.person
        self.gaze = torch.zeros(count, 2)
    def __len__(self):
        return len(self.images)

clip, _ = load_clip()
search = SentenceSearch(clip, CaptionedFaces([Faces(24)]), "a face with sunglasses", count=6)
search.show()
"""


@pytest.fixture
def search(scratch):
    """A notebook whose only cell has shown a search; its output."""
    return scratch("search.ipynb", SEARCH).run_cell(0)


def test_typed_sentence_finds_its_faces_and_an_unknown_word_is_named(search):
    picture, box = search.locator("img"), search.locator("input[type=text]")
    expect(search).to_contain_text("“a face with sunglasses”: of 24 faces the 6 best")
    before = picture.get_attribute("src")
    box.fill("a person with a beard")
    box.press("Enter")
    expect(search).to_contain_text("“a person with a beard”: of 24 faces", timeout=30_000)
    expect(picture).not_to_have_attribute("src", before)
    box.fill("a person with a monocle")
    box.press("Enter")
    expect(search).to_contain_text(re.compile("does not know 'monocle'.*“a person with a beard”"), timeout=30_000)
    expect(picture).to_have_count(1)
