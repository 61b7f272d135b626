"""What heads wear fits every head, faces outward, and depends on nobody else in the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gazecourse.faces import domains
from gazecourse.faces.accessories import Accessories
from gazecourse.faces.attributes import BEARDS, GLASSES, HAIR_STYLES, HATS, OCCLUDERS, Factors
from gazecourse.faces.clothes import COLUMNS
from gazecourse.faces.glasses import RIM_POINTS, RIM_SIDES
from gazecourse.faces.hair import SHELL_ROWS, SUNK
from gazecourse.faces.head import HeadGeometry, HeadModel
from gazecourse.faces.occluders import TOUCH_RADIUS
from gazecourse.faces.parts import SKULL_CENTER, Anchors, Part, cast, grid_triangles, tube, tube_triangles

HEADS = 12
CLOSED = ("frame", "wire frame", "hand", "phone", "mug", "strap", "beanie", "cap", "helmet")
CENTERS = {
    "hair": (0.0, -20.0, 80.0),
    "fringe": (0.0, -20.0, 80.0),
    "beard": (0.0, 40.0, 40.0),
    "scarf": (0.0, 80.0, 85.0),
    "shirt": (0.0, 230.0, 110.0),
}
"""A point inside of each open shell."""
EYES = 0.6
"""Share of an eye's radius around its center that must stay free."""


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return HeadModel()


@pytest.fixture(scope="module")
def accessories(model: HeadModel) -> Accessories:
    return Accessories(model)


@pytest.fixture(scope="module")
def factors() -> Factors:
    """Very different people: the spread of their shapes is larger than in any domain."""
    people = domains.get("studio").sample(range(HEADS), people=HEADS, seed=3, split="train")
    identity = 0.3 * torch.randn(people.identity.shape, generator=torch.Generator().manual_seed(1))
    return people.replace(identity=identity, glasses=0, hat=0, occluder=0, beard=0, hair_style=0)


def neutral(model: HeadModel, factors: Factors) -> HeadGeometry:
    return model.shape(factors)


def parts_of(accessories: Accessories, model: HeadModel, factors: Factors) -> dict[str, Part]:
    return {part.name: part for part in accessories.parts(neutral(model, factors), factors)}


def everything(factors: Factors) -> Factors:
    """Every hat, occluder, beard, style and kind of glasses on somebody."""
    turn = torch.arange(len(factors))
    return factors.replace(
        hair_style=turn % len(HAIR_STYLES),
        beard=turn % len(BEARDS),
        glasses=turn % len(GLASSES),
        hat=turn // 3 % len(HATS),
        occluder=turn % len(OCCLUDERS),
        hair_fringe=0.8,
    )


def volume(points: Tensor, triangles: Tensor) -> Tensor:
    """Signed volume [B] enclosed by a closed mesh, positive where it is wound outward."""
    a, b, c = points[:, triangles].unbind(2)
    return (torch.linalg.cross(a, b) * c).sum((1, 2)) / 6


def outwardness(points: Tensor, triangles: Tensor, center: Tensor) -> Tensor:
    """Share [B] of the surface that faces away from ``center`` [3]."""
    a, b, c = points[:, triangles].unbind(2)
    normal = torch.linalg.cross(b - a, c - a)
    away = (normal * ((a + b + c) / 3 - center)).sum(-1) > 0
    return (normal.norm(dim=-1) * away).sum(1) / normal.norm(dim=-1).sum(1)


def hidden_by(points: Tensor, triangles: Tensor, spot: Tensor) -> bool:
    """Whether a mesh [V, 3] has a triangle in front of ``spot`` [3], seen from the front (along z)."""
    corners = points[triangles]
    a, b, c = (corners[:, k, :2] - spot[:2] for k in range(3))
    sides = [p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0] for p, q in ((a, b), (b, c), (c, a))]
    around = ((sides[0] > 0) & (sides[1] > 0) & (sides[2] > 0)) | ((sides[0] < 0) & (sides[1] < 0) & (sides[2] < 0))
    return bool((around & (corners[..., 2].amin(1) < spot[2])).any())


def spots_on_eyes(geometry: HeadGeometry, face: int) -> Tensor:
    """Points [2, 5, 3] on both eyeballs' fronts: the middle, above, below and at both sides."""
    reach = EYES * geometry.eye_radius[face]
    offsets = reach * torch.tensor([[0.0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 0.6, 0], [0, -0.6, 0]])
    offsets[:, 2] = -geometry.eye_radius[face]
    return geometry.eye_centers[face].unsqueeze(1) + offsets


# ---------------------------------------------------------------- building blocks
def test_cast_finds_the_point_where_a_ray_leaves_the_surface() -> None:
    """An octahedron about the origin: the exit along (1, 1, 1) is (1, 1, 1) / 3."""
    points = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    triangles = torch.tensor([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])
    directions = torch.tensor([[1.0, 1, 1], [-2.0, 1, -1], [0.0, 0, -3]])
    hit = cast(points, triangles, torch.zeros(3, 3), directions).on(points[None])[0]
    torch.testing.assert_close(hit, torch.tensor([[1 / 3, 1 / 3, 1 / 3], [-0.5, 0.25, -0.25], [0, 0, -1]]))


def test_cast_takes_the_first_or_the_last_exit() -> None:
    step = torch.tensor([0.0, 0, 1])
    sheet = torch.tensor([[-5.0, -5, 1], [5, -5, 1], [0, 9, 1]])
    points = torch.cat([sheet, sheet + step])
    triangles = torch.tensor([[0, 1, 2], [3, 4, 5]])
    ray = (torch.zeros(1, 3), step.unsqueeze(0))
    assert cast(points, triangles, *ray).on(points[None])[0, 0, 2] == pytest.approx(1.0)
    assert cast(points, triangles, *ray, farthest=True).on(points[None])[0, 0, 2] == pytest.approx(2.0)


def test_cast_says_which_ray_leaves_no_surface() -> None:
    points = torch.tensor([[0.0, 0, 1], [1, 0, 1], [0, 1, 1]])
    with pytest.raises(ValueError, match=r"the ray from \[0\.0, 0\.0, 0\.0\] .* leaves no surface"):
        cast(points, torch.tensor([[0, 1, 2]]), torch.zeros(1, 3), torch.tensor([[0.0, 0, -1]]))


def test_anchors_follow_a_moving_surface_affinely() -> None:
    anchors = Anchors(torch.tensor([[0, 1, 2]]), torch.tensor([[0.2, 0.3, 0.5]]))
    points = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    torch.testing.assert_close(anchors.on(points @ turn + 7), anchors.on(points) @ turn + 7)


def test_tubes_enclose_the_volume_of_a_prism() -> None:
    """A straight tube of length 4 with six sides and half widths 1 and 2."""
    path = torch.stack([torch.zeros(5), torch.zeros(5), torch.arange(5.0)], dim=1).unsqueeze(0)
    points = tube(path, torch.tensor([1.0, 2.0]).expand(5, 2), torch.tensor([1.0, 0, 0]), 6)
    hexagon = 1.5 * 3**0.5
    assert float(volume(points, tube_triangles(5, 6))) == pytest.approx(4 * 2 * hexagon, rel=1e-5)


def test_closed_grid_uses_every_edge_once_in_each_direction() -> None:
    triangles = torch.cat([grid_triangles(4, 6, closed=True), tube_triangles(4, 6)[-8:]])
    edges = torch.cat([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    assert sorted(edges.tolist()) == sorted(edges.flip(1).tolist())


# ---------------------------------------------------------------- all parts
def test_topology_is_the_same_in_every_batch(accessories, model, factors) -> None:
    one, other = everything(factors), everything(factors)[[5, 4, 3, 2, 1, 0, 6, 7]]
    first, second = parts_of(accessories, model, one), parts_of(accessories, model, other)
    for name in set(first) & set(second):
        assert torch.equal(first[name].triangles, second[name].triangles), name
        assert first[name].points.shape[1:] == second[name].points.shape[1:], name


def test_every_vertex_is_finite_and_used_in_range(accessories, model, factors) -> None:
    for part in parts_of(accessories, model, everything(factors)).values():
        assert torch.isfinite(part.points).all(), part.name
        assert part.triangles.min() >= 0, part.name
        assert part.triangles.max() < part.points.shape[1], part.name
        assert part.color.shape in ((HEADS, 3), (HEADS, part.points.shape[1], 3)), part.name
        assert ((part.color >= 0) & (part.color <= 1)).all(), part.name
        assert part.surface is None or part.surface.shape == part.points.shape, part.name


def test_closed_parts_are_wound_outward(accessories, model, factors) -> None:
    parts = parts_of(accessories, model, everything(factors))
    for name in CLOSED:
        assert (volume(parts[name].points, parts[name].triangles) > 0).all(), name


def test_shells_face_away_from_the_body(accessories, model, factors) -> None:
    parts = parts_of(accessories, model, everything(factors).replace(hair_style=2))
    for name, center in CENTERS.items():
        assert (outwardness(parts[name].points, parts[name].triangles, torch.tensor(center)) > 0.85).all(), name


def test_parts_are_shown_on_those_who_wear_them(accessories, model, factors) -> None:
    worn = everything(factors)
    parts = parts_of(accessories, model, worn)
    for number, name in enumerate(HATS[1:], start=1):
        assert torch.equal(parts[name].shown, worn.hat == number)
    for number, name in enumerate(OCCLUDERS[2:], start=2):
        assert torch.equal(parts[name].shown, worn.occluder == number)
    assert torch.equal(parts["hair"].shown, worn.hair_style >= HAIR_STYLES.index("short"))
    assert torch.equal(parts["beard"].shown, worn.beard >= BEARDS.index("mustache"))
    assert torch.equal(parts["lenses"].shown, worn.glasses > 0)
    assert torch.equal(parts["frame"].shown | parts["wire frame"].shown, worn.glasses > 0)
    assert not (parts["frame"].shown & parts["wire frame"].shown).any()


def test_what_nobody_wears_is_left_out(accessories, model, factors) -> None:
    assert set(parts_of(accessories, model, factors)) <= {"shirt", "collar"}


def test_a_face_wears_the_same_alone_and_in_a_batch(accessories, model, factors) -> None:
    worn = everything(factors)
    batch = parts_of(accessories, model, worn)
    for face in range(HEADS):
        for name, part in parts_of(accessories, model, worn[face]).items():
            torch.testing.assert_close(part.points[0], batch[name].points[face], msg=name, rtol=1e-5, atol=1e-3)
            torch.testing.assert_close(part.color[0], batch[name].color[face], msg=name)


def test_every_tensor_is_made_where_the_heads_are(accessories, model, factors) -> None:
    """Were a tensor made on the default device instead, here one without data, mixing the two would fail."""
    worn = everything(factors)
    geometry = neutral(model, worn)
    with torch.device("meta"):
        parts = accessories.parts(geometry, worn)
    assert {part.points.device.type for part in parts} == {"cpu"}


def test_wrong_arguments_are_named(accessories, model, factors) -> None:
    geometry = neutral(model, factors)
    with pytest.raises(TypeError, match="model must be a HeadModel; got str"):
        Accessories("head")
    with pytest.raises(TypeError, match="factors must be Factors; got dict"):
        accessories.parts(geometry, {})
    with pytest.raises(ValueError, match=r"geometry\.points must have shape \[5, "):
        accessories.parts(geometry, factors[list(range(5))])
    with pytest.raises(TypeError, match="geometry must be a HeadGeometry; got tensor"):
        accessories.parts(geometry.points, factors)


# ---------------------------------------------------------------- hair and beard
def test_hair_sinks_below_the_skin_at_the_hairline(accessories, model, factors) -> None:
    short = factors.replace(hair_style=HAIR_STYLES.index("short"), hat=0)
    geometry = neutral(model, short)
    hair = accessories._hair
    points = hair.part(geometry, short, torch.ones(HEADS, 3)).points[:, : SHELL_ROWS * hair.columns]
    depth = ((points - hair.shell.on(geometry.points)) * hair.outward).sum(-1).view(HEADS, SHELL_ROWS, -1)
    torch.testing.assert_close(depth[:, -1], torch.full_like(depth[:, -1], -SUNK), atol=1e-3, rtol=0)
    assert (depth[:, : SHELL_ROWS * 3 // 4] > 0.4).all()


def test_hair_belongs_to_a_person_and_not_to_an_image(accessories, model, factors) -> None:
    full = factors[[0, 0, 0]].replace(hair_style=HAIR_STYLES.index("full"), hair_fringe=0.9)
    full = full.replace(person=torch.tensor([7, 7, 8]), seed=torch.tensor([1, 2, 1]))
    parts = parts_of(accessories, model, full)
    for name in ("hair", "fringe"):
        points = parts[name].points
        torch.testing.assert_close(points[0], points[1])
        assert (points[0] - points[2]).norm(dim=-1).max() > 2.0, name


def test_longer_hair_hangs_lower(accessories, model, factors) -> None:
    long = factors.replace(hair_style=HAIR_STYLES.index("long"))
    lowest = [
        parts_of(accessories, model, long.replace(hair_length=length))["hair"].points[..., 1].amax(1)
        for length in (0.0, 0.5, 1.0)
    ]
    assert (lowest[0] + 50 < lowest[1]).all()
    assert (lowest[1] + 50 < lowest[2]).all()


def test_hats_press_hair_flat_and_enclose_it(accessories, model, factors) -> None:
    center = torch.tensor(SKULL_CENTER)
    for hat in HATS[1:]:
        wearing = factors.replace(hair_style=HAIR_STYLES.index("full"), hat=HATS.index(hat))
        parts = parts_of(accessories, model, wearing)
        hair = accessories._hair
        under = (hair.height < hair.rims[HATS.index(hat)] - 3.0).flatten().nonzero().squeeze(1)
        for face in range(HEADS):
            strand = parts["hair"].points[face].index_select(0, under) - center
            dome = parts[hat].points[face]
            shell = cast(dome, parts[hat].triangles, center.expand_as(strand), strand, farthest=True)
            assert (shell.on(dome[None])[0] - center).norm(dim=1).sub(strand.norm(dim=1)).min() > 0.4, hat


def test_a_visor_juts_out_over_the_brows(accessories, model, factors) -> None:
    wearing = factors.replace(hat=HATS.index("cap"))
    brows = neutral(model, wearing).landmarks[:, 17:27]
    visor = parts_of(accessories, model, wearing)["visor"].points
    assert (visor[..., 2].amin(1) < brows[..., 2].amin(1) - 35.0).all()
    assert (visor[..., 1].amax(1) < brows[..., 1].amax(1)).all()


def test_neither_hair_nor_hat_hides_the_eyes(accessories, model, factors) -> None:
    for style in ("short", "full", "curly", "long"):
        for hat in range(len(HATS)):
            worn = factors.replace(hair_style=HAIR_STYLES.index(style), hat=hat, hair_fringe=1.0, hair_length=1.0)
            geometry = neutral(model, worn)
            for part in accessories.parts(geometry, worn):
                for face in range(0, HEADS, 4):
                    for spot in spots_on_eyes(geometry, face).reshape(-1, 3):
                        shown = bool(part.shown[face]) and part.name != "shirt"
                        assert not (shown and hidden_by(part.points[face], part.triangles, spot)), (part.name, style)


def test_beard_follows_the_jaw_and_leaves_the_lips_free(accessories, model, factors) -> None:
    bearded = factors.replace(beard=BEARDS.index("full beard"))
    geometry = neutral(model, bearded)
    actions = torch.zeros(HEADS, len(model.action_names))
    actions[:, model.action("jawOpen")] = 1.0
    opened = model.express(geometry, actions)
    beard = accessories._beard
    closed_chin, open_chin = (beard.part(g, bearded, torch.ones(HEADS, 3)).points for g in (geometry, opened))
    moved = opened.points.index_select(1, beard.rows) - geometry.points.index_select(1, beard.rows)
    torch.testing.assert_close(open_chin - closed_chin, moved, atol=1e-3, rtol=0)
    assert moved.norm(dim=-1).max() > 8.0
    lips = model.masks[beard.rows, model.mask_names.index("lips")] > 0.5
    assert lips.any()
    assert (beard.cover[:, lips] == 0).all()


# ---------------------------------------------------------------- glasses
def glasses_on(accessories, model, factors, kind: str) -> tuple[HeadGeometry, dict[str, Part]]:
    shape = torch.linspace(0, 1, HEADS)
    wearing = factors.replace(glasses=GLASSES.index(kind), glasses_shape=shape)
    return neutral(model, wearing), parts_of(accessories, model, wearing)


@pytest.mark.parametrize("kind", GLASSES[1:])
def test_rims_and_lenses_lie_in_front_of_the_face(accessories, model, factors, kind) -> None:
    """A ray from inside the head through a rim's vertex leaves the skin before it reaches the rim."""
    geometry, parts = glasses_on(accessories, model, factors, kind)
    frame = parts["wire frame" if kind.startswith("thin") else "frame"].points
    skin = model.triangles[model.part == 0]
    rims = frame[:, : 2 * (RIM_POINTS + 1) * RIM_SIDES]
    for face in range(0, HEADS, 2):
        vertices = torch.cat([rims[face], parts["lenses"].points[face]])
        origin = vertices * torch.tensor([0.75, 1.0, 0.0]) + torch.tensor([0.0, 0.0, 60.0])
        leaving = cast(geometry.points[face], skin, origin, vertices - origin).on(geometry.points[face][None])[0]
        assert ((vertices - leaving) * (vertices - origin)).sum(1).min() > 0, (face, kind)


@pytest.mark.parametrize("kind", GLASSES[1:])
def test_lenses_lie_before_both_eyes_and_touch_neither(accessories, model, factors, kind) -> None:
    geometry, parts = glasses_on(accessories, model, factors, kind)
    lenses = parts["lenses"].points
    away = torch.cdist(lenses, geometry.eye_centers) - geometry.eye_radius.view(-1, 1, 1)
    assert away.min() > 2.0
    for face in range(HEADS):
        for eye in geometry.eye_centers[face]:
            assert hidden_by(lenses[face], parts["lenses"].triangles, eye)


def test_lenses_have_a_front_and_a_back_of_their_own(accessories, model, factors) -> None:
    _, parts = glasses_on(accessories, model, factors, "sunglasses")
    lenses = parts["lenses"]
    a, b, c = lenses.points[:, lenses.triangles].unbind(2)
    forward = torch.linalg.cross(b - a, c - a)[..., 2] < 0
    for one_lens in forward.chunk(2, dim=1):
        assert (one_lens.sum(1) == one_lens.shape[1] // 2).all()
    for face in range(HEADS):
        front, back = lenses.triangles[forward[face]], lenses.triangles[~forward[face]]
        assert not torch.isin(front, back).any()


@pytest.mark.parametrize("kind", GLASSES[1:])
def test_temples_run_outside_the_head_to_the_ears(accessories, model, factors, kind) -> None:
    geometry, _ = glasses_on(accessories, model, factors, kind)
    wearing = factors.replace(glasses=GLASSES.index(kind))
    frame = accessories._glasses._fit(geometry, wearing)
    for side, anchors in ((1.0, accessories._glasses.left), (-1.0, accessories._glasses.right)):
        path = accessories._glasses._temple(frame, geometry, side)
        skin = anchors.on(geometry.points)
        assert (side * (path[:, 2:7, 0] - skin[:, :5, 0]) > 1.5).all()
        assert (path[:, -1] - skin[:, -1]).norm(dim=1).max() < 2.0


# ---------------------------------------------------------------- clothes and occluders
def test_clothes_hide_where_the_head_model_is_cut(accessories, model) -> None:
    skin = model.triangles[model.part == 0]
    edges = torch.cat([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]])
    key = edges.amin(1) * model.mean.shape[0] + edges.amax(1)
    _, inverse, count = key.unique(return_inverse=True, return_counts=True)
    cut = edges[count[inverse] == 1].unique()
    assert len(cut) > 0
    at_cut = torch.isin(model.triangles, cut).any(1)
    assert accessories.covered[at_cut].all()


def test_no_covered_triangle_belongs_to_the_face(accessories, model) -> None:
    lowest = model.mean[model.triangles[accessories.covered]][..., 1].min()
    assert lowest > model.landmarks(model.mean[None])[0, 8, 1]


def test_clothes_reach_below_the_cut_on_all_sides(accessories, model, factors) -> None:
    shirt = parts_of(accessories, model, factors)["shirt"].points
    bottom = shirt[:, -COLUMNS:, 1]
    assert (bottom.amin(1) > neutral(model, factors).points[..., 1].amax(1)).all()


@pytest.mark.parametrize("kind", OCCLUDERS[1:])
def test_occluders_leave_at_least_one_eye_free(accessories, model, factors, kind) -> None:
    place = torch.stack([torch.linspace(-0.35, 0.35, HEADS), torch.linspace(0.35, -0.35, HEADS)], dim=1)
    for seed in range(3):
        holding = factors.replace(occluder=OCCLUDERS.index(kind), occluder_place=place)
        holding = holding.replace(seed=torch.arange(HEADS) + HEADS * seed)
        geometry = neutral(model, holding)
        parts = [p for p in accessories.parts(geometry, holding) if p.name in ("hand", *OCCLUDERS)]
        for face in range(HEADS):
            eyes = spots_on_eyes(geometry, face)
            hidden = [
                any(hidden_by(p.points[face], p.triangles, eye[0]) for p in parts if p.shown[face]) for eye in eyes
            ]
            assert not all(hidden), (kind, face, seed)


def test_a_free_hand_touches_the_face_without_entering_it(accessories, model, factors) -> None:
    """Seen along the direction that the palm faces, no skin lies in front of the hand, and some lies right behind."""
    holding = factors.replace(occluder=OCCLUDERS.index("hand"), occluder_place=0.0)
    geometry = neutral(model, holding)
    occluders = accessories._occluders
    side = (torch.arange(HEADS) % 2).long()
    for draw in (0.1, 0.5, 0.9):
        rotation, place = occluders._place(geometry, holding, side, torch.full((HEADS,), draw))
        hand = (occluders.palm.index_select(0, side) @ rotation + place.unsqueeze(1)) @ rotation.transpose(1, 2)
        skin = geometry.points.index_select(1, occluders.face) @ rotation.transpose(1, 2)
        behind = skin[:, None, :, 2] - hand[:, :, None, 2]
        aside = (skin[:, None, :, :2] - hand[:, :, None, :2]).norm(dim=-1)
        gap = behind.masked_fill(aside > 8.0, torch.inf).amin((1, 2))
        assert (gap > -0.01).all()
        gap = behind.masked_fill(aside > TOUCH_RADIUS, torch.inf).amin((1, 2))
        assert (gap.abs() < 0.01).all()


def test_left_hand_mirrors_the_right_one(accessories) -> None:
    left, right = accessories._occluders.hands[0]
    triangles = accessories._occluders.hand_triangles
    torch.testing.assert_close(volume(left[None], triangles), volume(right[None], triangles))
    mirrored = right * torch.tensor([-1.0, 1.0, 1.0])
    assert (left[:, None] - mirrored).norm(dim=-1).amin(1).max() < 1e-3
