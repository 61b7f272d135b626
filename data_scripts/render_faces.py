"""Render one set of synthetic faces, or one machine's share of it.

    python data_scripts/render_faces.py --domain studio --people 80 --images 20000 --size 224
    python data_scripts/render_faces.py --domain wild --split test --people 20 --images 2000 --size 224 --shard 0/2

Finished shards stay where they are, so the same command goes on after an interruption. ``--shard 0/2`` on one machine
and ``--shard 1/2`` on another write different files of the same set; together they are, byte for byte, what one
machine would have written. The notebooks find a set that has the size of their profile without further ado.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gazecourse.errors import CourseError
from gazecourse.faces.domains import SPLITS
from gazecourse.faces.rendering import render
from gazecourse.faces.shards import FaceSet


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence instead of a screen of usage."""
        self.exit(2, f"error: {message} (see --help)\n")


def _part(text: str) -> tuple[int, int]:
    """ "1/4" as (1, 4)."""
    try:
        index, count = map(int, text.split("/"))
    except ValueError:
        index, count = 0, 0
    if not 0 <= index < count:
        raise argparse.ArgumentTypeError(f"must be i/n with 0 <= i < n, such as 0/2; got {text!r}")
    return index, count


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    summary, _, details = __doc__.partition("\n\n")
    parser = _Parser(description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domain", required=True, help="studio, wild, laptop or lab")
    parser.add_argument("--split", default="train", help=f"{' or '.join(SPLITS)} (default: train)")
    parser.add_argument("--people", type=int, required=True, help="number of identities")
    parser.add_argument("--images", type=int, required=True, help="number of images, over all people")
    parser.add_argument("--size", type=int, default=112, help="height and width in pixels (default: 112)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    parser.add_argument("--processes", type=int, help="processes on a CPU (default: one per core)")
    parser.add_argument("--shard", type=_part, default=(0, 1), metavar="i/n", help="render the i-th of n shares")
    parser.add_argument("--out", type=Path, help="folder for the set's folder (default: where the course looks)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Render as the command line says; returns the exit code."""
    wanted = _arguments(argv)
    try:
        faces = FaceSet(
            wanted.domain, wanted.split, wanted.size, wanted.people, wanted.images, wanted.seed, root=wanted.out
        )
        count = render([faces], device=wanted.device, processes=wanted.processes, part=wanted.shard)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
    except (CourseError, OSError, TypeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{count} images rendered into {faces.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
