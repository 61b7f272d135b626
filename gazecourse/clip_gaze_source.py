"""What CLIP-Gaze has to know of the faces that it learns from, made once for each training and kept beside it.

Of rendered faces the factors and the people's heads are known: context is learned on them themselves. Of real faces
neither is: context is learned on rendered faces of all domains, and heads are fitted; see ``identities``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset

from gazecourse.checkpoint import load_checkpoint, save_checkpoint
from gazecourse.clip_gaze_training import (
    ClipFaces,
    ClipGazeSettings,
    Prompts,
    factors_of,
    learn_context,
    new_context,
    what_clip_sees,
)
from gazecourse.datasets.source import digest
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.domains import DOMAINS
from gazecourse.files import read_checked, write_checked
from gazecourse.identities import fitted_identities
from gazecourse.models.clip import TwoTowers
from gazecourse.models.clip_gaze import PersonalizedContext
from gazecourse.training import make_fabric

LESSON_FACES = 1_000
"""Faces of each domain that context is learned on where the source's factors are not known.

They are the quick profile's, whatever the profile: CLIP looks at faces of 112² anyway.
"""


@dataclass(frozen=True)
class ClipGazeSource:
    """The faces of one training as CLIP-Gaze learns from them.

    Attributes:
        faces: rendered ones, of several domains too, or a prepared real set.
        clip: what looks at them.
        folder: of the training, where all this is kept: one that was cut off goes on with the same.
        settings: of CLIP-Gaze. seed: of the learned context. precision: Fabric's name of it.
    """

    faces: Dataset
    clip: TwoTowers
    folder: Path
    settings: ClipGazeSettings
    seed: int
    precision: str

    @cached_property
    def identity(self) -> Tensor | None:
        """Identity parameters of each face [N, K], fitted; None where the renderer knows them."""
        if factors_of(self.faces) is not None:
            return None
        _, which = self.faces.person.unique(return_inverse=True)
        path = self.folder / "identities.safetensors"
        return kept(path, self._key, lambda: fitted_identities(self.faces))[which]

    @cached_property
    def _key(self) -> str:
        """Of the faces, by their labels, and of the CLIP: what is kept must be of both."""
        parts = self.faces.datasets if isinstance(self.faces, ConcatDataset) else [self.faces]
        return digest(
            *(part.gaze.numpy().tobytes() for part in parts),
            *(part.person.numpy().tobytes() for part in parts),
            *(value.detach().cpu().numpy().tobytes() for value in self.clip.state_dict().values()),
        )

    def require_identity(self) -> None:
        """Find out before the first part of a training, not after it, that nobody's can be fitted.

        Raises:
            CourseError: see ``fitted_identities``.
        """
        _ = self.identity

    @cached_property
    def looked_at(self) -> ClipFaces:
        """The faces with what CLIP sees in them."""
        path = self.folder / "sight.safetensors"
        sight = kept(path, self._key, lambda: what_clip_sees(self.clip, self.faces))
        return ClipFaces(self.faces, self.clip, identity=self.identity, sight=sight)

    def prompts(self) -> Prompts:
        """The prompts of these people, with learned context."""
        return Prompts(self.clip, self._context(), self.looked_at, centered=self.settings.centered)

    def _context(self) -> PersonalizedContext:
        path, context = self.folder / "context.safetensors", new_context(self.clip, self.settings)
        if path.is_file():
            load_checkpoint(path, context)
            return context.requires_grad_(False).eval()
        lessons = rendered_faces(self.clip) if self.looked_at.facts is None else self.looked_at
        fabric = make_fabric(precision=self.precision)
        context = learn_context(self.clip, lessons, self.settings, seed=self.seed, fabric=fabric)
        save_checkpoint(path, context)
        return context


def rendered_faces(clip: TwoTowers) -> ClipFaces:
    """Faces of everybody in the training sets of all domains, with their factors and what CLIP sees in them."""
    sets = [FaceDataset(domain, "train", "quick").some(LESSON_FACES) for domain in DOMAINS]
    return ClipFaces(ConcatDataset(sets), clip)


def kept(path: Path, key: str, make: Callable[[], Tensor]) -> Tensor:
    """A tensor from a file; made and written where it is not there, is damaged, or is of another key."""
    found = read_checked(path)
    if found is not None and found[1].get("of") == key:
        return load(found[0])["rows"]
    made = make()
    write_checked(path, save({"rows": made.contiguous()}), {"of": key})
    return made
