"""The word tokenizer: its vocabulary, its numbers, and what it says about words it does not know."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gazecourse.faces.attributes import NAMED
from gazecourse.faces.captions import all_texts
from gazecourse.tokenizer import EOS, PAD, SOS, Tokenizer, course_words, eos_positions, split_words


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer()


def test_words_are_lower_case_and_keep_their_hyphens():
    assert split_words("A middle-aged WOMAN, with thin-framed glasses.") == [
        "a", "middle-aged", "woman", "with", "thin-framed", "glasses",
    ]  # fmt: skip
    assert split_words("— !") == []
    assert split_words("3 Brüder") == ["3", "brüder"], "what is no word of the course is kept, to be refused by name"


def test_vocabulary_is_in_alphabetical_order_without_doubles_and_knows_every_text_of_the_course(tokenizer):
    assert list(course_words()) == sorted(set(course_words()))
    assert tokenizer.words == course_words()
    for text in all_texts():
        tokenizer.encode(text)
    for factor in NAMED.values():
        for phrase in filter(None, factor.words):
            tokenizer.encode(phrase)


def test_tokens_are_start_words_end_and_padding():
    tokenizer = Tokenizer(("face", "a", "hat"))
    tokens = tokenizer(["A face.", "a hat, a face"])
    assert tokens.tolist() == [[SOS, 4, 3, EOS, PAD, PAD], [SOS, 4, 5, 4, 3, EOS]]
    assert tokenizer("a hat").tolist() == [[SOS, 4, 5, EOS]]
    assert len(tokenizer) == 6
    assert eos_positions(tokens).tolist() == [3, 5]


@given(st.lists(st.sampled_from(course_words()), min_size=1, max_size=62))
def test_decoding_gives_the_words_back(words):
    tokenizer = Tokenizer()
    assert tokenizer.decode(tokenizer(" ".join(words))[0]) == " ".join(words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a face with spectacles", "it does not know 'spectacles' in 'a face with spectacles'. Its words are in"),
        ("a face with sunglases", "does not know 'sunglases' .* Did you mean 'sunglasses'"),
        ("a grey beard", "does not know 'grey' .* Did you mean .*'gray'"),
        ("a face with 2 hats", "it does not know '2' in 'a face with 2 hats'"),
        ("a façade", "it does not know 'façade'"),
        ("", "text must hold a word or more; got ''"),
        ("?!", "text must hold a word or more"),
        ("a " * 63, "text must have at most 62 words; got 63"),
    ],
)
def test_texts_that_it_cannot_read_are_named(tokenizer, text, message):
    with pytest.raises(ValueError, match=message):
        tokenizer([text])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Tokenizer()([]), ValueError, "texts must hold a text or more; got none"),
        (lambda: Tokenizer()([3]), TypeError, "text must be a string; got int 3"),
        (lambda: Tokenizer(("a", "b", "a")), ValueError, "words must name every word once"),
        (lambda: Tokenizer(("a", "Face")), ValueError, "words must be single words in lower case; got str 'Face'"),
        (lambda: Tokenizer(("a face",)), ValueError, "words must be single words"),
        (lambda: Tokenizer(context=2), ValueError, "context must be 3 or more; got 2"),
        (lambda: eos_positions(torch.ones(2, 3)), ValueError, r"tokens must be whole numbers \[B, L\]"),
        (lambda: eos_positions(torch.tensor([[SOS, 5, 6]])), ValueError, "end of sentence in every row"),
    ],
)
def test_bad_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
