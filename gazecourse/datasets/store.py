"""Prepared sets on disk, and a data set that reads them back for training.

A store is a folder of shards, ``00000.safetensors`` with images and labels and ``00000.json`` with what they are, and
a ``manifest.json`` that is written when all of them are whole: counts, checksums, what was skipped and why, and the
terms of the data. Images are plain bytes, so that one is read by one seek, without decoding.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from gazecourse.errors import CourseError
from gazecourse.images import resized
from gazecourse.paths import data_dir
from gazecourse.sample import Sample
from gazecourse.subsets import Subsets
from gazecourse.validation import check_choice, check_whole

FORMAT = 1
"""Changes when shards of an earlier course can no longer be read."""
MANIFEST = "manifest.json"
LABELS = ("gaze", "head", "landmarks", "face_center", "screen")
"""Labels of a shard, one row for each image; NaN where a sample lacks one that others of the set have."""
FACTOR = "factor."
"""How the names of the factors begin in a shard, uint8, one row for each image."""


def real_dir() -> Path:
    """Folder of the prepared real sets."""
    return data_dir() / "real"


def prepared() -> dict[str, Path]:
    """Folders of all sets that are wholly prepared, by name: "mpiifacegaze-raw-224px"."""
    return {path.parent.name: path.parent for path in sorted(real_dir().glob(f"*/{MANIFEST}"))}


def find(name: str) -> Path:
    """The folder of the prepared set that somebody means.

    Args:
        name: of the data set ("mpiifacegaze"), with the release if several are prepared ("mpiifacegaze-raw"), and with
            the size ("mpiifacegaze-raw-224px").
    Raises:
        FileNotFoundError: none is prepared. ValueError: several are, and the name does not tell which.
    """
    names = [known for known in prepared() if known == name or known.startswith(f"{name}-")]
    if not names:
        base = name.split("-")[0]
        raise FileNotFoundError(
            f"{name} is not prepared. Download it, then: python -m gazecourse prepare {base} --from FOLDER"
        )
    if len(names) > 1:
        raise ValueError(f"{name} is prepared more than once; say which you mean: {', '.join(names)}.")
    return prepared()[names[0]]


def read_manifest(folder: Path) -> dict:
    """What is in a store.

    Raises:
        FileNotFoundError, CourseError: the folder is no store, its preparation was not finished, or it is damaged.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["format"]
    except FileNotFoundError as error:
        begun = any(folder.glob("*.safetensors"))
        state = "is not finished: the same prepare command goes on where it stopped" if begun else "is no prepared set"
        raise FileNotFoundError(f"{folder} {state}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{path} is damaged. Prepare the set again; whole shards are kept.") from error
    if version != FORMAT:
        raise CourseError(f"{folder} was prepared by another version of the course. Prepare the set again.")
    return manifest


class StoredFaces(Subsets, Dataset):
    """A prepared set: labels in memory, images read from disk when asked for.

    It keeps no file open and can be pickled, so it works with any number of ``DataLoader`` workers.

    Args:
        name: as in ``find``, or the folder of a store.
        splits: names of the splits to read, such as ``["train"]``; None for all.
        size: height and width of the images; they are resized from the stored ones with antialiasing. None keeps them.
        typical_eyes: where samples have no landmarks, take the usual places of both eyes for them. Good enough to know
            where to look away (PureGaze's LP-Loss); eye crops of turned heads will miss.
    Attributes:
        gaze: float32 [N, 2] (pitch, yaw), radians. NaN where the release keeps the label to itself; None in a set for
            landmarks.
        factors: uint8 [N, …] by name, 1 where it is so, such as "occlusion" of WFLW.
        head, landmarks, face_center, screen: as in ``Sample`` with a leading axis N; None where any image lacks it.
        person: int64 [N]; the number of the face where nobody knows who is who.
        domain: name of the data set. manifest: what ``read_manifest`` returns.
    Raises:
        FileNotFoundError, CourseError, ValueError: see ``find`` and ``read_manifest``; a shard is missing or cut off;
            or there is no such split.
    """

    def __init__(
        self,
        name: str | Path,
        splits: Iterable[str] | None = None,
        *,
        size: int | None = None,
        typical_eyes: bool = False,
    ) -> None:
        self.folder = name if isinstance(name, Path) else find(name)
        self.manifest = read_manifest(self.folder)
        self.domain = self.manifest["set"]
        self.stored_size = self.manifest["size"]
        self.size = self.stored_size if size is None else check_whole("size", size, 16, 1024)
        chosen = self._chosen(splits)
        self._offsets, columns = self._load()
        self.person = columns.pop("person")
        self._place = columns.pop("place")
        split = columns.pop("split")
        scale = self.size / self.stored_size
        self._labels = {n: rows * scale if n == "landmarks" else rows for n, rows in columns.items()}
        self._eyes = self._typical_eyes() if typical_eyes and "landmarks" not in self._labels else None
        self._keep(torch.ones(len(split), dtype=torch.bool) if chosen is None else torch.isin(split, chosen))

    def _chosen(self, splits: Iterable[str] | None) -> Tensor | None:
        if splits is None:
            return None
        known = self.manifest["splits"]
        names = [check_choice("splits", split, tuple(known)) for split in splits]
        return torch.tensor([list(known).index(name) for name in names])

    def _load(self) -> tuple[list[int], dict[str, Tensor]]:
        """Where the images begin in each shard, and the labels of all."""
        offsets, columns = [], []
        for number, shard in enumerate(self.manifest["shards"]):
            path = self._path(number)
            if not path.is_file() or path.stat().st_size != shard["bytes"]:
                verdict = "is cut off or altered" if path.is_file() else "is missing"
                raise CourseError(
                    f"{path} {verdict}. The same prepare command makes it again; the other shards are kept."
                )
            offset, tensors = _read_labels(path)
            rows = torch.arange(len(tensors["person"]))
            offsets.append(offset)
            columns.append({**tensors, "place": torch.stack([torch.full_like(rows, number), rows], 1)})
        names = columns[0].keys() if columns else ()
        return offsets, {name: torch.cat([each[name] for each in columns]) for name in names}

    def _typical_eyes(self) -> Tensor | None:
        eyes = self.manifest["typical_eyes"]
        return None if eyes is None else torch.tensor(eyes) * self.size

    def _path(self, shard: int) -> Path:
        return self.folder / self.manifest["shards"][shard]["file"]

    def _label(self, name: str) -> Tensor | None:
        return self._labels[name] if name in self._complete else None

    @property
    def gaze(self) -> Tensor | None:
        """[N, 2] (pitch, yaw), radians; None in a set for landmarks."""
        return self._labels.get("gaze")

    @property
    def knows_people(self) -> bool:
        """Whether the release says who is who."""
        return self.manifest["people"] is not None

    @property
    def factors(self) -> dict[str, Tensor]:
        """uint8 [N, …] by name."""
        return {n.removeprefix(FACTOR): rows for n, rows in self._labels.items() if n.startswith(FACTOR)}

    @property
    def head(self) -> Tensor | None:
        """[N, 2] (pitch, yaw) of the head, radians."""
        return self._label("head")

    @property
    def landmarks(self) -> Tensor | None:
        """[N, L, 2] (x, y) in pixels of the images."""
        return self._label("landmarks") if self._eyes is None else self._eyes.expand(len(self), 2, 2)

    @property
    def face_center(self) -> Tensor | None:
        """[N, 3] in the physical camera's frame, mm."""
        return self._label("face_center")

    @property
    def screen(self) -> Tensor | None:
        """[N, 2] of the point looked at, mm from the top left corner of the screen."""
        return self._label("screen")

    def __len__(self) -> int:
        return len(self.person)

    def __repr__(self) -> str:
        people = f" of {len(self.people)} people" if self.knows_people else ""
        return f"StoredFaces({self.domain}: {len(self)} images{people}, {self.size} × {self.size})"

    def __getitem__(self, index: int) -> Sample:
        """One face; negative numbers count from the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must lie in [{-len(self)}, {len(self) - 1}]; got {index}.")
        labels = {name: getattr(self, name) for name in LABELS}
        return Sample(
            image=self._images(self._place[[index]])[0],
            **{name: None if values is None else values[index] for name, values in labels.items()},
            person=int(self.person[index]),
            domain=self.domain,
            factors={name: values[index] for name, values in self.factors.items()},
        )

    def __getitems__(self, indices: Sequence[int] | Tensor) -> Sample:
        """The faces of one batch, collated."""
        chosen = torch.as_tensor(indices, dtype=torch.long)
        labels = {name: getattr(self, name) for name in LABELS}
        return Sample(
            image=self._images(self._place[chosen]),
            **{name: None if values is None else values[chosen] for name, values in labels.items()},
            person=self.person[chosen],
            domain=[self.domain] * len(chosen),
            factors={name: values[chosen] for name, values in self.factors.items()},
        )

    def _images(self, places: Tensor) -> Tensor:
        """uint8 [B, 3, size, size] from places [B, 2] (shard, row); each shard is opened once, rows in their order."""
        side = self.stored_size
        images = torch.empty(len(places), 3, side, side, dtype=torch.uint8)
        buffers = images.numpy()
        order = sorted(range(len(places)), key=places.tolist().__getitem__)
        shard, file = -1, None
        try:
            for position in order:
                number, row = places[position].tolist()
                if number != shard:
                    if file is not None:
                        file.close()
                    shard, file = number, self._path(number).open("rb", buffering=0)
                file.seek(self._offsets[number] + row * buffers[position].nbytes)
                if file.readinto(memoryview(buffers[position]).cast("B")) != buffers[position].nbytes:
                    raise CourseError(f"{self._path(number)} is cut off. The same prepare command makes it again.")
        except OSError as error:
            raise CourseError(f"{self._path(number)} cannot be read: {error.strerror or error}.") from error
        finally:
            if file is not None:
                file.close()
        return resized(images, self.size)

    def _keep(self, rows: Tensor) -> None:
        self.person, self._place = self.person[rows], self._place[rows]
        self._labels = {name: values[rows] for name, values in self._labels.items()}
        self._complete = {name for name, values in self._labels.items() if not bool(values.isnan().any())}


def _read_labels(path: Path) -> tuple[int, dict[str, Tensor]]:
    """Where the bytes of the images begin in a shard, and its other tensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in header if name not in ("images", "__metadata__")}
        return 8 + length + header["images"]["data_offsets"][0], tensors
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise CourseError(f"{path} is damaged. The same prepare command makes it again.") from error
