"""From factors to pictures and exact labels: pose, project, rasterize, shade, photograph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gazecourse.angles import pitchyaw_to_rotation, vector_to_pitchyaw
from gazecourse.faces import background, optics
from gazecourse.faces.accessories import Accessories, Part
from gazecourse.faces.attributes import Factors, luminance
from gazecourse.faces.eyes import corneal_normal, eye_mesh, eyeball_color, lid_shade
from gazecourse.faces.head import HeadGeometry, HeadModel, vertex_normals
from gazecourse.faces.rasterizer import Visibility, rasterize
from gazecourse.faces.shading import diffuse_light, glossy_light, visible_from
from gazecourse.faces.skin import Skin, base_color, hair_color, sample_volume
from gazecourse.validation import check_array, check_image_size, describe

VERSION = 1
"""Counts changes that alter pictures; rendered sets of another version are rendered again."""

SUPERSAMPLING = 2
"""Samples per pixel and axis."""
SURFACE_TOLERANCE = 7.0
"""A landmark counts as visible if nothing lies more than this many mm in front of it."""

OUTER_LIPS = list(range(48, 60))
THROAT_DEPTH = 22.0
"""Millimeters behind the outer edge of the lips where the mouth ends in the dark."""

MATERIALS = ("skin", "eye", "mouth", "lash", "hair", "cloth", "plastic", "metal", "lens")
GLOSS = {"skin": 0.30, "mouth": 0.9, "hair": 0.22, "cloth": 0.02, "plastic": 0.5, "metal": 1.2}
SHARPNESS = {"skin": 14.0, "mouth": 60.0, "hair": 20.0, "cloth": 6.0, "plastic": 50.0, "metal": 60.0}


@dataclass
class Scene:
    """A mesh: a piece of what is in the picture, in the head frame, or all of it, in the camera frame.

    ``points`` [B, V, 3] mm; ``color`` [B, V, 3] linear RGB; ``surface`` [B, V, 3] the coordinates that textures are
    drawn in (place on the mean head for skin, direction from the eye's center for eyeballs, strands for hair);
    ``openness`` [B, V] share of ambient light; ``triangles`` [F, 3] and their ``material`` [F].
    """

    points: Tensor
    color: Tensor
    surface: Tensor
    openness: Tensor
    triangles: Tensor
    material: Tensor


def _rotate(points: Tensor, rotation: Tensor) -> Tensor:
    return points @ rotation.transpose(1, 2)


def _piece(points: Tensor, color: Tensor, surface: Tensor, openness: Tensor, triangles: Tensor, material: str) -> Scene:
    """A mesh of one material."""
    number = torch.full_like(triangles[:, 0], MATERIALS.index(material))
    return Scene(points, color, surface, openness, triangles, number)


def _neck_rotation(neck: Tensor) -> Tensor:
    """Rotation [B, 3, 3] of the shoulders in the head frame for a head turned by (pitch, yaw) against them."""
    return pitchyaw_to_rotation(neck).transpose(1, 2)


class Renderer:
    """Draws batches of faces.

    Args:
        size: of the images in pixels: one number for squares, or (height, width).
        device: where to compute; by default a GPU if there is one.

    ``render(factors)`` returns the images and the labels. Pixels depend on each image's own factors alone.
    """

    def __init__(self, size: int | tuple[int, int] = 224, device: torch.device | str | None = None) -> None:
        self.height, self.width = check_image_size("size", size)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = HeadModel(self.device)
        self.skin = Skin(self.model)
        self.accessories = Accessories(self.model)
        bare = ~self.accessories.covered
        self.head_triangles = self.model.triangles[bare]
        eye_points, self.eye_triangles = (t.to(self.device) for t in eye_mesh())
        self.eye_points = eye_points
        around = torch.arange(len(OUTER_LIPS), device=self.device)
        self.throat_triangles = torch.stack([torch.zeros_like(around), around.roll(-1) + 1, around + 1], dim=1)
        before_eyes = self.head_triangles.shape[0] + self.throat_triangles.shape[0]
        self.second_eye = before_eyes + self.eye_triangles.shape[0]
        parts = self.model.parts
        names = {"skin": "skin", "upper_teeth": "mouth", "lower_teeth": "mouth", "tongue": "mouth"}
        table = [MATERIALS.index(names.get(name, "lash")) for name in parts]
        self.head_material = torch.tensor(table, device=self.device)[self.model.part[bare]]
        self._paint_helpers()

    def _paint_helpers(self) -> None:
        """Fixed colors of teeth, tongue and lashes, and how far out on its lash each lash vertex lies."""
        count = self.model.mean.shape[0]
        self.helper = torch.zeros(count, dtype=torch.bool, device=self.device)
        self.helper_color = torch.zeros(count, 3, device=self.device)
        self.lash_tip, self.lash_turn, self.lash_upper = torch.zeros(3, count, device=self.device)
        colors = {"upper_teeth": (0.62, 0.57, 0.47), "lower_teeth": (0.55, 0.50, 0.41), "tongue": (0.30, 0.09, 0.08)}
        for number, name in enumerate(self.model.parts[1:], start=1):
            rows = self.model.triangles[self.model.part == number].unique()
            self.helper[rows] = True
            self.helper_color[rows] = torch.tensor(colors.get(name, (0.01, 0.008, 0.007)), device=self.device)
            if name.startswith("lashes"):
                side = 0 if name.endswith("left") else 1
                away = (self.model.mean[rows] - self.model.eye_centers[side]).norm(dim=1) - self.model.eye_radius
                self.lash_tip[rows] = ((away - away.amin()) / (away.amax() - away.amin())).clamp(0, 1)
                offset = self.model.mean[rows] - self.model.eye_centers[side]
                self.lash_turn[rows] = torch.atan2(offset[:, 0], -offset[:, 2] + 12.0)
                self.lash_upper[rows] = (offset[:, 1] < 0).float()

    # ------------------------------------------------------------------ geometry
    def _pose(self, factors: Factors) -> tuple[HeadGeometry, Tensor, Tensor]:
        """Heads with expression and lids, eye centers [B, 2, 3] and each eye's gaze [B, 2, 3] in the camera frame."""
        neutral = self.model.shape(factors)
        rotation, position = factors.head_rotation, factors.head_position
        eyes = _rotate(neutral.eye_centers, rotation) + position.unsqueeze(1)
        gaze = torch.nn.functional.normalize(factors.target.unsqueeze(1) - eyes, dim=-1)
        in_head = gaze @ rotation
        pitch = torch.asin((-in_head[..., 1]).clamp(-1, 1))
        yaw = torch.atan2(-in_head[..., 0], -in_head[..., 2])
        geometry = self.model.express(neutral, self.model.actions(factors, pitch, yaw))
        return geometry, eyes, gaze

    def _bend_neck(self, points: Tensor, factors: Factors) -> Tensor:
        """Turn what lies below the neck back towards the shoulders; points [B, V, 3] in the head frame."""
        joint = self.model.neck_joint
        low = ((points[..., 1] + 0.35 * (points[..., 2] - 100.0) - 70.0) / 80.0).clamp(0, 1)
        share = (low * low * (3 - 2 * low)).unsqueeze(-1)
        turned = _rotate(points - joint, _neck_rotation(factors.neck)) + joint
        return points + share * (turned - points)

    def _scene(self, factors: Factors, geometry: HeadGeometry, parts: list[Part]) -> Scene:
        """Head, eyeballs and accessories as one mesh in the camera frame."""
        pieces = [self._head_piece(factors, geometry), self._throat_piece(geometry)]
        pieces += [self._eye_piece(factors, geometry, side) for side in (0, 1)]
        pieces += [self._accessory_piece(part, geometry) for part in parts]
        counts = [piece.points.shape[1] for piece in pieces]
        starts = [sum(counts[:number]) for number in range(len(counts))]
        in_head = self._bend_neck(torch.cat([piece.points for piece in pieces], dim=1), factors)
        return Scene(
            points=_rotate(in_head, factors.head_rotation) + factors.head_position.unsqueeze(1),
            color=torch.cat([piece.color for piece in pieces], dim=1),
            surface=torch.cat([piece.surface for piece in pieces], dim=1),
            openness=torch.cat([piece.openness for piece in pieces], dim=1),
            triangles=torch.cat([piece.triangles + start for piece, start in zip(pieces, starts, strict=True)]),
            material=torch.cat([piece.material for piece in pieces]),
        )

    def _head_piece(self, factors: Factors, geometry: HeadGeometry) -> Scene:
        batch = len(factors)
        openness = torch.where(self.helper, 0.45, self.model.occlusion.clamp(min=0.12)).expand(batch, -1)
        surface = self.model.mean.expand(batch, -1, -1)
        color = self._head_color(factors)
        return Scene(geometry.points, color, surface, openness, self.head_triangles, self.head_material)

    def _throat_piece(self, geometry: HeadGeometry) -> Scene:
        points = self._throat(geometry)
        color = torch.tensor([0.035, 0.008, 0.007], device=self.device).expand_as(points)
        openness = torch.full(points.shape[:2], 0.15, device=self.device)
        return _piece(points, color, points, openness, self.throat_triangles, "mouth")

    def _eye_piece(self, factors: Factors, geometry: HeadGeometry, side: int) -> Scene:
        """One eyeball; its color depends on where it looks, and is found pixel by pixel."""
        center = geometry.eye_centers[:, side : side + 1]
        points = center + self.eye_points * geometry.eye_radius.view(-1, 1, 1)
        surface = _rotate(self.eye_points.expand(len(factors), -1, -1), factors.head_rotation)
        openness = lid_shade(points, geometry, side)
        return _piece(points, torch.zeros_like(points), surface, openness, self.eye_triangles, "eye")

    def _accessory_piece(self, part: Part, geometry: HeadGeometry) -> Scene:
        """Something worn; on heads that do not wear it, it shrinks to a point inside the head."""
        count = part.points.shape[1]
        nowhere = geometry.points[:, :1].expand(-1, count, -1)
        points = torch.where(part.shown.view(-1, 1, 1), part.points, nowhere)
        color = part.color.unsqueeze(1).expand(-1, count, -1) if part.color.dim() == 2 else part.color
        surface = part.surface if part.surface is not None else part.points
        openness = torch.full(points.shape[:2], 0.9, device=self.device)
        return _piece(points, color, surface, openness, part.triangles, part.material)

    def _throat(self, geometry: HeadGeometry) -> Tensor:
        """A dark fan [B, 13, 3] behind the lips, where the mouth's inside has no surface of its own."""
        rim = geometry.landmarks[:, OUTER_LIPS]
        middle = rim.mean(1, keepdim=True)
        return torch.cat([middle, middle + 0.9 * (rim - middle)], dim=1) + rim.new_tensor([0.0, 0.0, THROAT_DEPTH])

    def _head_color(self, factors: Factors) -> Tensor:
        color = self.skin.vertex_color(factors)
        return torch.where(self.helper.view(1, -1, 1), self.helper_color, color)

    def _project(self, points: Tensor, camera: Tensor, scale: float) -> Tensor:
        """Pixels and depth [B, V, 3] of points in the camera frame; ``camera`` is in units of the image's width."""
        projected = points @ camera.transpose(1, 2) * torch.tensor([scale, scale, 1.0], device=points.device)
        depth = points[..., 2:].clamp(min=1e-3)
        return torch.cat([projected[..., :2] / depth, points[..., 2:]], dim=-1)

    # ------------------------------------------------------------------ light
    def _vertex_light(self, scene: Scene, normals: Tensor, factors: Factors) -> Tensor:
        """Diffuse light [B, V, 3]; the strongest light casts shadows."""
        opaque = (scene.material != MATERIALS.index("lens")) & (scene.material != MATERIALS.index("lash"))
        opaque &= scene.material != MATERIALS.index("eye")
        strongest = luminance(factors.light_color).argmax(1)
        rows = torch.arange(len(factors), device=self.device)
        direction = factors.light_direction[rows, strongest]
        lit = visible_from(scene.points - factors.head_position.unsqueeze(1), scene.triangles[opaque], direction)
        shadow = torch.ones(*lit.shape, factors.light_color.shape[1], device=self.device)
        shadow[rows, :, strongest] = lit
        return diffuse_light(normals, scene.openness, shadow, factors)

    # ------------------------------------------------------------------ pixels
    def _share_samples(self, view: Visibility, material: Tensor) -> tuple[Tensor, Tensor]:
        """Samples to shade [Q], and for every covered sample [P] which of them it takes its color from.

        Samples of one pixel that show the same material share one color, as in multisample antialiasing; eyes are
        shaded at every sample, for the edge of the iris is what gaze is read from.
        """
        step, width = SUPERSAMPLING, self.width * SUPERSAMPLING
        line = torch.div(view.pixel, width, rounding_mode="floor")
        column = view.pixel - line * width
        pixel = torch.div(line, step, rounding_mode="floor") * self.width + torch.div(
            column, step, rounding_mode="floor"
        )
        kinds = len(MATERIALS) - 1 + step * step
        kind = torch.where(
            material == MATERIALS.index("eye"),
            len(MATERIALS) - 1 + line % step * step + column % step,
            torch.where(material > MATERIALS.index("eye"), material - 1, material),
        )
        group = pixel * kinds + kind
        count = view.shape[0] * self.height * self.width * kinds
        number = torch.arange(len(group), device=self.device)
        first = torch.full((count,), len(group), device=self.device).scatter_reduce_(0, group, number, reduce="amin")
        leader = first.index_select(0, group)
        shaded = (leader == number).nonzero().squeeze(1)
        place = torch.empty_like(number).index_copy_(0, shaded, torch.arange(len(shaded), device=self.device))
        return shaded, place.index_select(0, leader)

    def _shade(self, scene: Scene, normals: Tensor, view: Visibility, gaze: Tensor, factors: Factors) -> Tensor:
        """Linear RGB [P, 3] of every covered sample."""
        light = self._vertex_light(scene, normals, factors)
        attributes = torch.cat([light, scene.color, normals, scene.surface, scene.points], dim=-1)
        shaded, owner = self._share_samples(view, scene.material.index_select(0, view.triangle))
        view = view.subset(shaded)
        values = view.interpolate(attributes, scene.triangles)
        light, color, surface = values[:, 0:3], values[:, 3:6], values[:, 9:12]
        normal = torch.nn.functional.normalize(values[:, 6:9], dim=1)
        toward = -torch.nn.functional.normalize(values[:, 12:15], dim=1)
        material = scene.material.index_select(0, view.triangle)

        def pick(name: str) -> Tensor:
            return (material == MATERIALS.index(name)).nonzero().squeeze(1)

        gloss = torch.tensor([GLOSS.get(m, 0.0) for m in MATERIALS], device=self.device)[material]
        sharpness = torch.tensor([SHARPNESS.get(m, 1.0) for m in MATERIALS], device=self.device)[material]
        skin = pick("skin")
        skin_color, skin_gloss = self._skin_pixels(color[skin], surface[skin], view.image[skin], factors)
        color = color.index_copy(0, skin, skin_color)
        gloss = gloss.index_copy(0, skin, skin_gloss)
        hair = pick("hair")
        hair_color_, hair_gloss = self._hair_pixels(color[hair], surface[hair], view.image[hair], factors)
        color = color.index_copy(0, hair, hair_color_)
        gloss = gloss.index_copy(0, hair, hair_gloss)
        eye = pick("eye")
        side = (view.triangle[eye] >= self.second_eye).long()
        image = view.image[eye]
        axis = gaze[image, side]
        direction = torch.nn.functional.normalize(surface[eye], dim=1)
        radius = self.model.eye_radius.expand(len(eye))
        color = color.index_copy(0, eye, eyeball_color(direction, axis, radius, image, factors))
        wet = corneal_normal(direction, axis, radius, factors.iris_radius[image])
        normal = normal.index_copy(0, eye, wet)
        gloss = gloss.index_fill(0, eye, 3.0)
        sharpness = sharpness.index_fill(0, eye, 420.0)
        shine = glossy_light(normal, toward, sharpness, light, view.image, factors)
        return (color * light + gloss.unsqueeze(1) * shine).index_select(0, owner)

    def _skin_pixels(self, color: Tensor, place: Tensor, image: Tensor, factors: Factors) -> tuple[Tensor, Tensor]:
        """Pores, blotches, freckles and brows on top of the vertex color; and how oily each pixel is."""
        noise = sample_volume(self.skin.volume, place + (factors.person[image] % 97).unsqueeze(1) * 3.7)
        fine, coarse = noise[:, 0], noise[:, 1]
        detail = factors.skin_detail[image]
        color = color * (1 + (0.012 + 0.020 * detail) * fine + 0.025 * coarse).unsqueeze(1)
        freckle = (((fine - 1.2) * 1.2).clamp(0, 1) * detail * (coarse * 0.5 + 0.5).clamp(0, 1)).unsqueeze(1)
        color = color * (1 - freckle * torch.tensor([0.22, 0.38, 0.45], device=color.device))
        cover = self.skin.brow_cover(place, factors.brow_thickness[image], fine).unsqueeze(1)
        # Brows are darker than the hair of the head, and never lighter than the skin they grow on.
        brow = torch.minimum(0.6 * hair_color(factors), 0.45 * base_color(factors))[image]
        color = color * (1 - cover) + brow * cover
        gloss = GLOSS["skin"] * (0.75 + 0.15 * fine) * (1 - 0.7 * cover.squeeze(1))
        return color, gloss.clamp(min=0)

    def _hair_pixels(self, color: Tensor, strand: Tensor, image: Tensor, factors: Factors) -> tuple[Tensor, Tensor]:
        """Strands: bright and dark streaks along the hair, which also break up its shine."""
        stretched = torch.stack([strand[:, 0], strand[:, 1] * 0.08, strand[:, 2]], dim=1)
        noise = sample_volume(self.skin.volume, stretched + (factors.seed[image] % 89).unsqueeze(1) * 2.3)
        streak = 0.6 * noise[:, 0] + 0.6 * noise[:, 1]
        return color * (1 + 0.38 * streak).clamp(min=0.25).unsqueeze(1), GLOSS["hair"] * (0.8 + 0.5 * streak).clamp(
            min=0
        )

    def _overlays(self, canvas: Tensor, depth: Tensor, scene: Scene, screen: Tensor, factors: Factors) -> Tensor:
        """Lashes and lenses, drawn over the finished samples [B × H × W, 4] where nothing lies in front of them."""
        height, width = self.height * SUPERSAMPLING, self.width * SUPERSAMPLING
        lash = scene.material == MATERIALS.index("lash")
        both = scene.triangles[lash]
        both = torch.cat([both, both.flip(1)])
        view = rasterize(screen, both, height, width)
        own = torch.stack([self.lash_tip, self.lash_turn, self.lash_upper], dim=1)
        own = torch.nn.functional.pad(own, (0, 0, 0, scene.points.shape[1] - own.shape[0]))
        attributes = torch.cat([scene.points[..., 2:], own.expand(len(factors), -1, -1)], dim=-1)
        z, tip, turn, upper = view.interpolate(attributes, both).unbind(1)
        free = (z < depth.index_select(0, view.pixel) + 1.5).float()
        painted = 1 + 0.3 * factors.makeup.index_select(0, view.image)
        bristles = 0.88 + 0.12 * torch.sin(turn * 110.0 + 3.0 * tip)
        alpha = (1.9 * (1 - tip) ** 2.2 * bristles * (0.25 + 0.75 * upper) * painted).clamp(0, 0.96)
        alpha = (alpha * free).unsqueeze(1)
        under = canvas.index_select(0, view.pixel)
        dark = torch.cat([under[:, :3] * 0.06, torch.ones_like(alpha)], dim=1)
        canvas = canvas.index_copy(0, view.pixel, under * (1 - alpha) + dark * alpha)
        return self._lenses(canvas, depth, scene, screen, factors)

    def _lenses(self, canvas: Tensor, depth: Tensor, scene: Scene, screen: Tensor, factors: Factors) -> Tensor:
        """Glasses' lenses swallow some light and mirror the lights and the surroundings."""
        lens = (scene.material == MATERIALS.index("lens")).nonzero().squeeze(1)
        if len(lens) == 0 or not bool((factors.glasses > 0).any()):
            return canvas
        triangles = scene.triangles.index_select(0, lens)
        view = rasterize(screen, triangles, self.height * SUPERSAMPLING, self.width * SUPERSAMPLING)
        if len(view.pixel) == 0:
            return canvas
        normals = vertex_normals(scene.points, triangles)
        values = view.interpolate(torch.cat([scene.points, normals], dim=-1), triangles)
        toward = -torch.nn.functional.normalize(values[:, :3], dim=1)
        normal = torch.nn.functional.normalize(values[:, 3:], dim=1)
        image = view.image
        free = (values[:, 2] < depth.index_select(0, view.pixel) + 1.0).float().unsqueeze(1)
        tint = factors.glasses_tint[image].unsqueeze(1) * free
        amount = (factors.glasses_reflection[image]).unsqueeze(1) * free
        sharpness = torch.full((len(image),), 120.0, device=self.device)
        flash = glossy_light(normal, toward, sharpness, factors.ambient_above[image], image, factors)
        mirrored = 2 * (normal * toward).sum(1, keepdim=True) * normal - toward
        sky = (0.5 - 0.5 * mirrored[:, 1:2]).clamp(0, 1) ** 2
        window = sky * factors.ambient_above[image]
        fresnel = 0.06 + 0.94 * (1 - (normal * toward).sum(1, keepdim=True).clamp(0, 1)) ** 5
        under = canvas.index_select(0, view.pixel)
        color = under[:, :3] * (1 - tint) + amount * (0.5 * flash + 4 * fresnel * window)
        # A lens hides as much of the background as it swallows.
        cover = torch.maximum(under[:, 3:], under[:, 3:] * (1 - tint) + tint)
        return canvas.index_copy(0, view.pixel, torch.cat([color, cover], dim=1))

    def _compose(self, samples: Tensor, factors: Factors) -> Tensor:
        """Average the samples [B × H × W, 4] (premultiplied RGB and cover) over the background, linear RGB."""
        batch, step = len(factors), SUPERSAMPLING
        blocks = samples.view(batch, self.height, step, self.width, step, 4)
        layers = sum(blocks[:, :, i, :, j] for i in range(step) for j in range(step)) / step**2
        layers = layers.permute(0, 3, 1, 2)
        behind = background.draw(factors, self.height, self.width)
        return (layers[:, :3] + (1 - layers[:, 3:]) * behind).contiguous()

    # ------------------------------------------------------------------ labels
    def _labels(self, factors: Factors, scene: Scene, eyes: Tensor, gaze: Tensor, depth: Tensor) -> dict[str, Tensor]:
        """Everything that is known about each picture; angles in radians, lengths in mm, places in pixels."""
        landmarks = self.model.landmarks(scene.points[:, : len(self.model.mean)])
        screen = self._project(landmarks, factors.camera, self.width)
        height, width = self.height * SUPERSAMPLING, self.width * SUPERSAMPLING
        column = (screen[..., 0] * SUPERSAMPLING).long()
        row = (screen[..., 1] * SUPERSAMPLING).long()
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        batch = torch.arange(len(factors), device=self.device).view(-1, 1) * (height * width)
        pixel = batch + row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
        nearest = depth.index_select(0, pixel.reshape(-1)).view_as(pixel)
        pitchyaw = vector_to_pitchyaw(gaze)
        return {
            "gaze": vector_to_pitchyaw(factors.target - factors.head_position),
            "gaze_left": pitchyaw[:, 0],
            "gaze_right": pitchyaw[:, 1],
            "head": vector_to_pitchyaw(-factors.head_rotation[..., 2]),
            "target": factors.target,
            "target_raw": (factors.target.unsqueeze(1) @ factors.normalization).squeeze(1),
            "screen": factors.screen,
            "landmarks": screen[..., :2],
            "visibility": inside & (landmarks[..., 2] < nearest + SURFACE_TOLERANCE),
            "eye_centers": self._project(eyes, factors.camera, self.width)[..., :2],
            "face_center": factors.head_position,
        }

    @torch.no_grad()
    def render(self, factors: Factors) -> tuple[Tensor, dict[str, Tensor]]:
        """Draw a batch of faces.

        Args:
            factors: B faces.
        Returns:
            images [B, 3, H, W], display RGB in [0, 1]; and labels, each with a leading axis B: ``gaze``,
            ``gaze_left``, ``gaze_right`` (the person's eyes) and ``head`` (pitch, yaw); ``target`` in the camera
            frame of the picture and ``target_raw`` in that of the physical camera, ``screen`` (mm on the screen);
            ``landmarks`` [68, 2] with ``visibility`` [68]; ``eye_centers`` [2, 2]; ``face_center`` [3].
        Raises:
            TypeError, ValueError: naming the factor that cannot be drawn.
        """
        if not isinstance(factors, Factors):
            raise TypeError(f"factors must be Factors; got {describe(factors)}.")
        factors = factors.check().to(self.device)
        check_array("identity", factors.identity, [len(factors), len(self.model.identity_names)])
        geometry, eyes, gaze = self._pose(factors)
        scene = self._scene(factors, geometry, self.accessories.parts(geometry, factors))
        normals = vertex_normals(scene.points, scene.triangles)
        scale = self.width * SUPERSAMPLING
        height = self.height * SUPERSAMPLING
        screen = self._project(scene.points, factors.camera, scale)
        solid = (scene.material != MATERIALS.index("lash")) & (scene.material != MATERIALS.index("lens"))
        # Rows of hidden overlay triangles collapse to one corner, so that triangle numbers stay those of the scene.
        opaque = torch.where(solid.unsqueeze(1), scene.triangles, scene.triangles[:, :1])
        view = rasterize(screen, opaque, height, scale)
        color = self._shade(scene, normals, view, gaze, factors)
        samples = len(factors) * height * scale
        canvas = torch.zeros(samples, 4, device=self.device)
        canvas.index_copy_(0, view.pixel, torch.cat([color, torch.ones_like(color[:, :1])], dim=1))
        depth = torch.full((samples,), float("inf"), device=self.device)
        depth.index_copy_(0, view.pixel, view.interpolate(scene.points[..., 2:], scene.triangles).squeeze(1))
        canvas = self._overlays(canvas, depth, scene, screen, factors)
        images = optics.capture(self._compose(canvas, factors), factors)
        return images, self._labels(factors, scene, eyes, gaze, depth)
