"""Releases in HDF5 files, each opened once, with an error that says what is wrong with the file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import h5py

from gazecourse.datasets.source import Skipped, Source
from gazecourse.errors import CourseError
from gazecourse.sample import Sample


class HDF5Source(Source):
    """A source whose images are in HDF5 files, one after the other."""

    @abstractmethod
    def file_of(self, row: int) -> Path:
        """The file that a record is in."""

    @abstractmethod
    def read(self, file: h5py.File, row: int, size: int) -> Sample:
        """``face`` from the open file."""

    def face(self, row: int, size: int, file: h5py.File | None = None) -> Sample:
        """One record as a sample; ``file`` is its file, if it is open already."""
        if file is not None:
            return self.read(file, row, size)
        with open_hdf5(self.file_of(row), self.release.how_to_get) as file:
            return self.read(file, row, size)

    def faces(self, size: int) -> Iterator[Sample | Skipped]:
        """All records; every file is opened once."""
        for path, group in groupby(range(len(self)), key=self.file_of):
            rows = list(group)
            try:
                with open_hdf5(path, self.release.how_to_get) as file:
                    while rows:
                        yield self.face_or_reason(rows[0], size, file)
                        del rows[0]
            except (CourseError, OSError) as error:  # the file is gone since its labels were read
                yield from (Skipped(self.where(row), str(error)) for row in rows)


def open_hdf5(path: Path, how_to_get: str) -> h5py.File:
    """The HDF5 file, for reading.

    Args:
        how_to_get: a sentence on where the file comes from; ends the messages.
    Raises:
        FileNotFoundError, CourseError: it is gone, may not be read, is of another format, or cut off.
    """
    try:
        with path.open("rb") as file:
            start = file.read(128)
        is_hdf5 = h5py.is_hdf5(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is not there. {how_to_get}") from error
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not start:
        raise CourseError(f"{path} is empty: its download or unpacking was cut off. Unpack it again. {how_to_get}")
    if start.startswith(b"MATLAB 5.0"):
        raise CourseError(
            f"{path} is a MATLAB file of version 5; the release's are of version 7.3, which is HDF5. Unpack the file "
            f"of the release again, or in MATLAB load this one and save it with save(file, 'Data', '-v7.3')."
        )
    if not is_hdf5:
        raise CourseError(f"{path} must be an HDF5 file; it begins with {start[:12]!r}. {how_to_get}")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        why = reason(error)
        verdict = "is cut off" if "truncated" in why else "cannot be opened"
        raise CourseError(f"{path} {verdict} ({why}). If it is not whole, unpack it again. {how_to_get}") from error


def reason(error: OSError) -> str:
    """What HDF5 says, without the name of its function: "Unable to open file (truncated file: ...)"."""
    text = str(error)
    return text[text.find("(") + 1 :].rstrip(")") if "(" in text else text


def check_entry(path: Path, file: h5py.File, name: str, shape: Sequence[int | str], how_to_get: str) -> h5py.Dataset:
    """The entry of that name.

    Args:
        shape: what it must have; "N" stands for any length.
    Raises:
        CourseError: there is none, or one of another shape or kind.
    """
    entry = file.get(name)
    if not isinstance(entry, h5py.Dataset):
        found: list[str] = []
        file.visititems(lambda key, value: found.append(key) if isinstance(value, h5py.Dataset) else None)
        listed = ", ".join(found[:8]) + (", …" if len(found) > 8 else "")
        raise CourseError(f"{path} must hold {name}; it holds {listed or 'nothing'}. {how_to_get}")
    same = len(entry.shape) == len(shape) and all(w in ("N", g) for w, g in zip(shape, entry.shape, strict=True))
    if not same or entry.dtype.kind not in "uif":
        wanted = ", ".join(str(s) for s in shape)
        raise CourseError(
            f"{path}: {name} must be ({wanted}) of numbers; it is {entry.shape} of {entry.dtype}. {how_to_get}"
        )
    return entry
