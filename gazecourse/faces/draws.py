"""Random choices that belong to one image or one person, whatever else is drawn beside them.

Every row of a batch has a name, such as "wild/train/0/image/17/light", and its numbers are the hash of that name. So
image 17 is the same image in a set of twenty or of twenty thousand, in one process or in ten, and no other random
state is read or changed. (A ``torch.Generator`` per image would be slower, and on a CPU it keeps only 32 bits of its
seed: in a large set two images would share one.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gazecourse.faces import noise

_WIDEST = 3.0  # standard deviations; a rarer value than this is an implausible face or room, not a useful one
_HALF_STEP = 2.0**-25  # the noise module's numbers are multiples of 2⁻²⁴ from 0; this moves them inside (0, 1)


def name_seeds(names: Sequence[str]) -> Tensor:
    """Seeds [B] int64, at least 0: a stable hash of each name."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return torch.tensor([int.from_bytes(digest, "little") >> 1 for digest in digests], dtype=torch.int64)


class Draws:
    """One stream of random numbers per row; each call takes the next numbers of all B rows at once.

    Everything is float64: the last bit of a vectorized function may depend on a row's place in the batch; rounded
    results do not show it.

    Args:
        names: B names, one per row. Equal names have equal streams.
        count: how many numbers a row holds.
    """

    def __init__(self, names: Sequence[str], count: int) -> None:
        self._numbers = noise.uniform(name_seeds(names), count).double() + _HALF_STEP
        self._taken = 0

    def __len__(self) -> int:
        return self._numbers.shape[0]

    def _take(self, size: int | None) -> Tensor:
        """The next number [B] of each row, or the next ``size`` numbers [B, size]."""
        start, self._taken = self._taken, self._taken + (1 if size is None else size)
        if self._taken > self._numbers.shape[1]:
            raise ValueError(f"count must cover all draws; the rows hold {self._numbers.shape[1]} numbers.")
        return self._numbers[:, start] if size is None else self._numbers[:, start : self._taken]

    def uniform(self, low: Tensor | float = 0.0, high: Tensor | float = 1.0, size: int | None = None) -> Tensor:
        """Numbers [B] or [B, size] between ``low`` and ``high``."""
        return low + (high - low) * self._take(size)

    def normal(self, mean: Tensor | float = 0.0, std: Tensor | float = 1.0, size: int | None = None) -> Tensor:
        """Normally distributed numbers [B] or [B, size], at most three standard deviations from ``mean``."""
        return mean + std * torch.special.ndtri(self._take(size)).clamp(-_WIDEST, _WIDEST)

    def angles(self, *degrees: float) -> Tensor:
        """Normal angles about 0, [B, n] radians, whose n standard deviations are given in degrees."""
        return self.normal(0.0, torch.deg2rad(torch.tensor(degrees, dtype=torch.float64)), size=len(degrees))

    def chance(self, probability: Tensor | float) -> Tensor:
        """True [B] with ``probability``."""
        return self._take(None) < probability

    def choice(self, weights: Tensor) -> Tensor:
        """Class [B] int64, drawn with ``weights`` [n] or, one set per row, [B, n]; they need not sum to 1."""
        edges = weights.double().expand(len(self), -1).cumsum(1)
        number = self._take(None) * edges[:, -1]
        return (number.unsqueeze(1) >= edges[:, :-1]).sum(1)

    def color(self, palette: Tensor, spread: float = 0.25) -> Tensor:
        """A linear RGB color [B, 3] near one of ``palette`` [n, 3]: brightness strays by ``spread`` in log units."""
        chosen = palette.double()[self.choice(torch.ones(len(palette)))]
        stray = self.normal(0.0, spread).unsqueeze(1) + self.normal(0.0, spread / 3, size=3)
        return (chosen * stray.exp()).clamp(0.0, 1.0)


def weights(words: Sequence[str], table: Mapping[str, float]) -> Tensor:
    """Weights [len(words)] for ``Draws.choice``; words that ``table`` leaves out never come."""
    unknown = set(table) - set(words)
    if unknown:
        raise ValueError(f"table must use the words {', '.join(words)}; got {', '.join(sorted(unknown))}.")
    return torch.tensor([table.get(word, 0.0) for word in words], dtype=torch.float64)
