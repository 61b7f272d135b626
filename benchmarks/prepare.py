"""How fast real sets are prepared and read back, and in how much memory.

    python benchmarks/prepare.py                          6,120 normalized images and 3,060 photographs; 6 GB of disk
    python benchmarks/prepare.py --normalized 45000 --photographs 45000    as many as MPIIFaceGaze has; 30 GB of disk

The data is made for it, in the releases' true formats: normalized faces in HDF5 files of MATLAB 7.3, and photographs of
1280 × 720 with their calibration. Measured is what ``python -m gazecourse prepare`` does, processes' start included,
and then what a training reads: random batches of 128.

Rates hold for the images that were made, and for files that are still in memory. ``minutes_for_release`` is what all
45,000 of MPIIFaceGaze would take at the same rate, if the disk is as quick. Few images say too little: starting the
processes takes seconds.

``share_of_cores`` tells whether the processes had a core each. Where something else was running it is well below 1, and
``core_milliseconds_per_image``, which others do not change much, tells what the machine can do.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from memory import GIB, peak_memory
from PIL import Image
from processor import core_seconds
from report import write

from gazecourse.angles import vector_to_pitchyaw
from gazecourse.datasets import StoredFaces, open_release
from gazecourse.datasets.preparing import MOST_PROCESSES, prepare, store_folder
from gazecourse.processes import available_cores

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import releases as made

PEOPLE = 15
RELEASE = 45_000
"""Images of MPIIFaceGaze, of either release."""
BATCH = 128


def noise(height: int, width: int, seed: int) -> np.ndarray:
    """A picture [H, W, 3] with structure at several scales, so that it compresses as photographs do."""
    generator = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for cells in (4, 16, 64, 256):
        coarse = Image.fromarray(generator.integers(0, 255, (cells, cells, 3), np.uint8))
        picture += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), float) / 4
    return picture.astype(np.uint8)


def looks(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Face centers and points looked at, mm [N, 3] in the camera's frame: all over the screen, which is below it."""
    number = np.arange(images)
    centers = np.stack([20.0 * np.sin(number), 20.0 * np.cos(number), 500.0 + number % 100], 1)
    return centers, made.on_screen(np.random.default_rng(0).random((images, 2)))


def normalized_release(root: Path, images: int) -> None:
    """MPIIFaceGaze, normalized: the images among the fifteen people."""
    each = -(-images // PEOPLE)
    some = np.stack([noise(448, 448, seed)[..., ::-1].transpose(2, 0, 1) for seed in range(8)])
    centers, targets = looks(each)
    gaze = vector_to_pitchyaw(targets - centers)
    made.mpiifacegaze_normalized(root, range(PEOPLE), each, "u1", picture=some[0].transpose(1, 2, 0), gaze=gaze)
    for path in sorted(root.iterdir()):
        with h5py.File(path, "a") as file:
            for row in range(each):
                file["Data/data"][row] = some[row % 8]


def raw_release(root: Path, images: int) -> None:
    """MPIIFaceGaze as recorded: photographs of about 200 KB."""
    each = -(-images // PEOPLE)
    photographs = []
    for seed in range(8):
        buffer = io.BytesIO()
        Image.fromarray(noise(720, 1280, seed)).save(buffer, "jpeg", quality=90)
        photographs.append(buffer.getvalue())
    centers, targets = looks(each)
    for person in range(PEOPLE):
        folder = root / f"p{person:02d}"
        made.calibration(folder / "Calibration")
        (folder / "day01").mkdir(parents=True)
        lines = []
        for number in range(each):
            name = f"day01/{number:05d}.jpg"
            (folder / name).write_bytes(photographs[number % 8])
            lines.append(made.line_of_photograph(name, centers[number], targets[number]))
        (folder / f"p{person:02d}.txt").write_text("\n".join(lines) + "\n")


def measure(kind: str, root: Path, into: Path, processes: int) -> dict[str, float]:
    """Rates and memory of preparing a release and of reading it back."""
    source = open_release("mpiifacegaze", root, kind)
    before, start = core_seconds(), time.perf_counter()
    with peak_memory() as peak:
        manifest = prepare(source, root=into, processes=processes)
    seconds, worked = time.perf_counter() - start, core_seconds() - before
    faces = StoredFaces(store_folder(source, 224, into))
    return {
        "release": kind,
        "images": manifest["images"],
        "processes": processes,
        "images_per_second": round(manifest["images"] / seconds, 1),
        "minutes_for_release": round(RELEASE / manifest["images"] * seconds / 60, 1),
        "core_milliseconds_per_image": round(1000 * worked / manifest["images"], 2),
        "share_of_cores": round(worked / seconds / processes, 2),
        "peak_memory_gib": round(peak.size / GIB, 2),
        "read_per_second": round(_read(faces), 0),
    }


def _read(faces: StoredFaces, batches: int = 20) -> float:
    """Images per second in random batches, in this process alone."""
    order = torch.randint(len(faces), (batches, BATCH), generator=torch.Generator().manual_seed(0))
    start = time.perf_counter()
    for rows in order:
        faces.__getitems__(rows)
    return order.numel() / (time.perf_counter() - start)


def main(argv: Sequence[str] | None = None) -> None:
    """Make the data, measure, print and write ``results/prepare.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--normalized", type=int, default=6_120, help="images (default: 6120)")
    parser.add_argument("--photographs", type=int, default=3_060, help="images (default: 3060)")
    parser.add_argument("--processes", type=int, default=min(available_cores(), MOST_PROCESSES))
    parser.add_argument("--dry", action="store_true", help="print only; write no file")
    wanted = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory(prefix="gazecourse-prepare-") as folder:
        for kind, make, count in (
            ("normalized", normalized_release, wanted.normalized),
            ("raw", raw_release, wanted.photographs),
        ):
            root = Path(folder, kind)
            make(root, count)
            rows.append(measure(kind, root, Path(folder, "stores"), wanted.processes))
            print(rows[-1], flush=True)
    if not wanted.dry:
        print(write("prepare", "cpu", measurements=rows))


if __name__ == "__main__":
    main()
