"""From a release to a store: every record read, converted, normalized where that is needed, and put into shards.

Each shard is the work of one process from the first byte to the last, and counts only when it is whole. So an
interruption at any point, even a power cut, costs at most the shards at hand; the next call goes on from the others.
Memory is bounded by a shard per process, however large the release is.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from tqdm import tqdm

from gazecourse.datasets.source import Skipped, Source
from gazecourse.datasets.store import FACTOR, FORMAT, MANIFEST, real_dir
from gazecourse.errors import CourseError
from gazecourse.files import atomic_write, read_checked, require_room, write_checked
from gazecourse.processes import available_cores, worked
from gazecourse.validation import check_whole

MOST_PROCESSES = 4
"""By default; a process takes about 0.4 GB, and all of them together shall stay below 2."""
_SHAPES = {"gaze": (2,), "head": (2,), "landmarks": None, "face_center": (3,), "screen": (2,)}


@dataclass(frozen=True)
class _Task:
    """One shard: its records, its file, and everything that decides what is in it."""

    part: Source
    first: int
    path: Path
    description: dict


@dataclass(frozen=True)
class _Done:
    """What became of a shard."""

    file: str
    first: int
    records: int
    images: int
    images_by_split: dict[str, int]
    people: list[int]
    skipped: list[dict]
    bytes: int
    sha256: str


def store_folder(source: Source, size: int | None = None, root: Path | None = None) -> Path:
    """Where a prepared set goes: in ``root``, by default where the course looks for it."""
    return (root or real_dir()) / f"{source.release.key}-{size or source.default_size}px"


def prepare(
    source: Source,
    *,
    size: int | None = None,
    root: Path | None = None,
    processes: int | None = None,
    progress: bool = True,
) -> dict:
    """Prepare a release, or what is missing of it.

    Args:
        source: the release.
        size: height and width of the images in pixels; default the source's.
        root: folder that holds the store's own folder; default where the course looks.
        processes: how many work side by side; default one per core, up to ``MOST_PROCESSES``.
        progress: show a bar with images per second and the time left.
    Returns:
        The manifest.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        CourseError: nothing could be read, a file cannot be written, the disk is full, or a process died.
    """
    size = check_whole("size", source.default_size if size is None else size, 16, 1024)
    if processes is not None:
        check_whole("processes", processes, 1)
    folder = store_folder(source, size, root)
    require_room(folder, 0)
    tasks = _tasks(source, size, folder)
    _forget_other_versions(folder, tasks)
    missing = sum(len(task.part) for task in tasks if not task.path.with_suffix(".json").is_file())
    require_room(folder, missing * 3 * size**2)
    count = processes or min(available_cores(), MOST_PROCESSES)
    bar = tqdm(total=len(source), unit=" images", desc=source.release.title, disable=not progress, file=sys.stderr)
    done = []
    with bar, worked(_fill, tasks, count, "Prepare again with fewer --processes; whole shards are kept.") as results:
        for shard in results:
            done.append(shard)
            bar.set_postfix(skipped=sum(len(each.skipped) for each in done), refresh=False)
            bar.update(shard.records)
    manifest = _manifest(source, size, done)
    if not manifest["images"]:
        reason = next((f"{each['where']}: {each['reason']}" for shard in done for each in shard.skipped), "no records")
        raise CourseError(f"None of the {len(source)} records of {source.root} can be used. The first: {reason}")
    with atomic_write(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def _tasks(source: Source, size: int, folder: Path) -> list[_Task]:
    common = {"format": FORMAT, "release": source.release.key, "size": size, "source": source.fingerprint}
    return [
        _Task(
            source.part(rows),
            rows.start,
            folder / f"{number:05d}.safetensors",
            {**common, "first": rows.start, "records": len(rows)},
        )
        for number, rows in enumerate(source.shards())
    ]


def _forget_other_versions(folder: Path, tasks: list[_Task]) -> None:
    """Remove the manifest, which is written anew, and shards that this source does not have."""
    (folder / MANIFEST).unlink(missing_ok=True)
    own = {task.path.stem for task in tasks}
    for path in folder.glob("[0-9]*.*"):
        if path.suffix in (".safetensors", ".json") and path.stem not in own:
            path.unlink()


def _fill(task: _Task) -> _Done:
    """Make one shard, unless it is there and whole."""
    found = read_checked(task.path)
    if found is None or any(found[1].get(name) != value for name, value in task.description.items()):
        arrays, result = _read(task)
        write_checked(task.path, safetensors.numpy.save(arrays), {**task.description, **result})
    whole = json.loads(task.path.with_suffix(".json").read_bytes())
    counted = {name: whole[name] for name in ("first", "records", "images", "images_by_split", "people", "skipped")}
    return _Done(file=task.path.name, bytes=os.path.getsize(task.path), sha256=whole["sha256"], **counted)


def _read(task: _Task) -> tuple[dict[str, np.ndarray], dict]:
    """Images and labels of a shard, and what its manifest says about them."""
    source, size = task.part, task.description["size"]
    images = np.empty((len(source), 3, size, size), np.uint8)
    labels = {name: _column(source, name) for name in source.holds}
    factors = {name: np.empty((len(source), *shape), np.uint8) for name, shape in source.factors.items()}
    rows: list[int] = []
    skipped: list[dict] = []
    for row, face in enumerate(source.faces(size)):
        if isinstance(face, Skipped):
            skipped.append({"record": task.first + row, **asdict(face)})
            continue
        # No part of a face is kept: small tensors would lie between the large ones of warping and hold their memory.
        images[len(rows)] = face.image.numpy()
        for name, column in labels.items():
            value = getattr(face, name)
            column[len(rows)] = np.nan if value is None else value.numpy()
        for name, column in factors.items():
            column[len(rows)] = face.factors[name].numpy()
        rows.append(row)
    columns = {"images": images, **labels, **{FACTOR + name: column for name, column in factors.items()}}
    arrays = {
        **{name: column[: len(rows)] for name, column in columns.items()},
        "person": source.person[rows].astype(np.int64),
        "split": source.split[rows].astype(np.int64),
        "record": np.array(rows, np.int64) + task.first,
    }
    by_split = Counter(source.splits[number] for number in arrays["split"])
    result = {
        "images": len(rows),
        "images_by_split": dict(by_split),
        "people": sorted(set(arrays["person"].tolist())),
        "skipped": skipped,
    }
    return arrays, result


def _column(source: Source, name: str) -> np.ndarray:
    """Room for a label of each record, float32 [N, ...]; NaN will stand where a sample has none."""
    return np.empty((len(source), *(_SHAPES[name] or (source.landmarks, 2))), np.float32)


def _manifest(source: Source, size: int, done: list[_Done]) -> dict:
    release = source.release
    by_split = sum((Counter(shard.images_by_split) for shard in done), Counter())
    skipped = [each for shard in done for each in shard.skipped]
    return {
        "format": FORMAT,
        "set": release.name,
        "release": release.key,
        "title": release.title,
        "size": size,
        "terms": release.agreement,
        "from": release.page,
        "root": str(source.root),
        "source": source.fingerprint,
        "records": len(source),
        "images": sum(shard.images for shard in done),
        "people": len(set().union(*(shard.people for shard in done))) if source.knows_people else None,
        "splits": {name: by_split[name] for name in source.splits},
        "typical_eyes": source.typical_eyes,
        "left_out": source.left_out,
        "warnings": source.warnings,
        "skipped_count": len(skipped),
        "skipped": skipped,
        "shards": [
            {"file": s.file, "first": s.first, "images": s.images, "bytes": s.bytes, "sha256": s.sha256} for s in done
        ],
    }
