"""A tokenizer of whole words: the few hundred that the course's captions and prompts are made of.

CLIP cuts words into pieces (byte-pair encoding), so that it can spell every word there is. A model trained on rendered
faces has learned only some words; one that it has never seen should be refused, not spelled.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import cache

import torch
from torch import Tensor

from gazecourse.faces.captions import all_texts
from gazecourse.validation import check_whole, describe

PAD, SOS, EOS = 0, 1, 2
SPECIAL = ("<pad>", "<sos>", "<eos>")
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")


def split_words(text: str) -> list[str]:
    """The words and numbers of a text in lower case; hyphens hold one together, other punctuation is dropped."""
    return _WORD.findall(text.lower())


@cache
def course_words() -> tuple[str, ...]:
    """All words of the course's captions and prompts, in alphabetical order."""
    return tuple(sorted({word for text in all_texts() for word in split_words(text)}))


class Tokenizer:
    """Words to numbers and back.

    >>> tokenizer = Tokenizer()
    >>> tokenizer(["a face with a hat"])  # [[SOS, a, face, with, a, hat, EOS]]

    Args:
        words: the vocabulary, each word once; default that of the course. Number 0 is padding, 1 the start and 2 the
            end of a sentence; words are counted from 3 in the order given.
        context: the most tokens of a sentence, start and end included.
    Raises:
        TypeError, ValueError: a word is given twice or is none, or the context is too short for one.
    """

    def __init__(self, words: Sequence[str] | None = None, context: int = 64) -> None:
        self.words = course_words() if words is None else tuple(words)
        for word in self.words:
            if not isinstance(word, str) or split_words(word) != [word]:
                raise ValueError(f"words must be single words in lower case; got {describe(word)}.")
        self._numbers = {word: number for number, word in enumerate(self.words, start=len(SPECIAL))}
        if len(self._numbers) != len(self.words):
            raise ValueError("words must name every word once; one is there twice.")
        self.context = check_whole("context", context, 3)

    def __len__(self) -> int:
        return len(SPECIAL) + len(self.words)

    def encode(self, text: str) -> list[int]:
        """Numbers of the words of one text, without start and end.

        Raises:
            TypeError: no text. ValueError: no word in it, an unknown one, or too many; the message names it.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a string; got {describe(text)}.")
        words = split_words(text)
        if not words:
            raise ValueError(f"text must hold a word or more; got {text!r}.")
        for word in words:
            if word not in self._numbers:
                raise ValueError(self._unknown(word, text))
        if len(words) > self.context - 2:
            raise ValueError(f"text must have at most {self.context - 2} words; got {len(words)}: {text[:60]!r} …")
        return [self._numbers[word] for word in words]

    def _unknown(self, word: str, text: str) -> str:
        near = difflib.get_close_matches(word, self.words, n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "Its words are in tokenizer.words."
        return f"text must be of words that the model has learned; it does not know {word!r} in {text[:60]!r}. {hint}"

    def __call__(self, texts: str | Iterable[str]) -> Tensor:
        """int64 [B, L]: start, words, end, padding; L is that of the longest text.

        Raises:
            TypeError, ValueError: as ``encode``, or no text at all.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts:
            raise ValueError("texts must hold a text or more; got none.")
        rows = [[SOS, *self.encode(text), EOS] for text in texts]
        longest = max(map(len, rows))
        return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])

    def decode(self, tokens: Sequence[int] | Tensor) -> str:
        """The words of one row of tokens, without start, end and padding."""
        return " ".join(self.words[int(t) - len(SPECIAL)] for t in tokens if int(t) >= len(SPECIAL))


def eos_positions(tokens: Tensor) -> Tensor:
    """int64 [B]: where each row of tokens [B, L] ends.

    Raises:
        ValueError: not [B, L] of whole numbers, or a row without an end.
    """
    if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.is_floating_point():
        raise ValueError(f"tokens must be whole numbers [B, L]; got {describe(tokens)}.")
    ends = tokens == EOS
    if not bool(ends.any(1).all()):
        raise ValueError("tokens must have an end of sentence in every row; one has none.")
    return ends.int().argmax(1)
