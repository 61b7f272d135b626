"""How many pictures a second `look` draws arrows into, and which of its steps take the time.

    python benchmarks/look.py                       # 200 pictures of 640 × 480
    python benchmarks/look.py --run RUN --threads 2

The pictures are a photograph of one face that wanders, as a video would show it. Time does not depend on what a gaze
network has learned: without a trained system, the same network with random weights is timed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from detectors import FRAME, framed, hopper
from PIL import Image
from report import write
from sklearn.datasets import load_sample_images

from gazecourse import looking, runs
from gazecourse.comparison import size_of_profile
from gazecourse.faces.pose import guessed_camera
from gazecourse.systems import SYSTEMS
from gazecourse.video import VideoWriter

GOAL = 8.0
"""Pictures a second that are wanted on two cores."""
STEPS = ("detection", "landmarks", "pose, normalization, gaze", "drawing", "encoding")
"""Of a picture with a face that the detector's first try finds, as most pictures of a video are."""


def random_gazer() -> looking.Gazer:
    """PureGaze's network as the quick profile trains it."""
    size, system = size_of_profile(), SYSTEMS["puregaze"]
    method = system.method(size, None)
    return looking.Gazer(method.build(size).eval(), method.forward, size.face)


def wandering(count: int) -> Iterator[np.ndarray]:
    """Pictures of one face of 120 to 200 pixels that wanders through a frame of 640 × 480."""
    photo, box = hopper()
    frames = [framed(photo, box, size, 0) for size in (120, 160, 200)]
    for number in range(count):
        shift = 30 * np.array([np.sin(number / 7), np.cos(number / 11)])
        yield np.roll(frames[number // 5 % len(frames)], shift.round().astype(int)[::-1], axis=(0, 1))


@contextmanager
def timed(times: dict[str, list[float]], step: str) -> Iterator[None]:
    """Add the milliseconds of a block to those of a step."""
    began = time.perf_counter()
    yield
    times[step].append(1000 * (time.perf_counter() - began))


def measure(count: int, find: looking.Finder, gazer: looking.Gazer) -> dict[str, object]:
    """Milliseconds of every step, median over the pictures, and pictures per second over all."""
    times: dict[str, list[float]] = {step: [] for step in STEPS}
    camera, found = guessed_camera(640, 480), 0
    with TemporaryDirectory() as folder, VideoWriter(Path(folder) / "out.mp4", 25) as writer:
        for number, picture in enumerate(wandering(count + 1)):
            if number == 1:  # the first look is slow
                began, found = time.perf_counter(), 0
                times = {step: [] for step in STEPS}
            with timed(times, "detection"):
                boxes = next(iter(find.tries(picture)))
            with timed(times, "landmarks"):
                landmarks = looking.Finder(lambda _, boxes=boxes: [boxes], find.model)(picture)
            with timed(times, "pose, normalization, gaze"):
                seen = looking.looks(picture, lambda _, landmarks=landmarks: landmarks, gazer, camera)
            with timed(times, "drawing"):
                drawn = looking.draw(picture, seen, words="25.0 frames/s")
            with timed(times, "encoding"):
                writer.write(drawn)
            found += bool(seen)
        seconds = time.perf_counter() - began
    nobody: dict[str, list[float]] = {"": []}
    for picture in load_sample_images().images:  # a temple and a flower
        frame = np.asarray(Image.fromarray(picture).resize(FRAME))
        with timed(nobody, ""):
            assert not find(frame)
    medians = {step: round(statistics.median(own), 1) for step, own in times.items()}
    return {
        "pictures": count,
        "with_face": found,
        "frames_per_second": round(count / seconds, 1),
        "milliseconds": medians,
        "milliseconds_without_face": round(statistics.mean(nobody[""]), 1),
    }


def main() -> None:
    """Measure, print and write ``results/look.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch (default: 1, as `look` has it)")
    parser.add_argument("--run", help="trained system (default: PureGaze of the quick profile, random weights)")
    parser.add_argument("--dry", action="store_true", help="print the measurements and leave results/ as it is")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    gazer = looking.gazer_of(runs.find_run(options.run)) if options.run else random_gazer()
    found = measure(options.pictures, looking.finder(), gazer)
    print(found)
    print(f"The goal of {GOAL:g} pictures a second is {'reached' if found['frames_per_second'] >= GOAL else 'missed'}.")
    if not options.dry:
        print(write("look", "cpu", goal=GOAL, trained=bool(options.run), **found))


if __name__ == "__main__":
    main()
