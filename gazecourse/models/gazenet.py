"""GazeNet: Full-Face's idea on MobileNetV2 (Sandler et al. 2018), small enough for a webcam."""

from __future__ import annotations

from torch import Tensor, nn

from gazecourse.models.full_face import SpatialWeights
from gazecourse.models.inputs import ImageInput, check_size

CHANNELS = 256


class GazeNet(nn.Module):
    """MobileNetV2 up to its last block, 1 × 1 convolution to 256 maps, spatial weights, three fully connected layers.

    At 112² the maps are 4 × 4 and the network has 4.39 M parameters, 45 times fewer than Full-Face.

    Args:
        size: height and width of the face; the maps are 32 times smaller, rounded up.
        dropout: share of units that are silenced in training before the first and after both hidden layers.
    """

    def __init__(self, size: int = 112, *, dropout: float = 0.5) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2
        from torchvision.ops import Conv2dNormActivation

        self.size = check_size(size)
        self.input = ImageInput(self.size)
        self.features = mobilenet_v2(weights=None).features[:-1]
        self.narrow = Conv2dNormActivation(320, CHANNELS, kernel_size=1, activation_layer=nn.ReLU6)
        self.spatial_weights = SpatialWeights(CHANNELS)
        cells = -(-self.size[0] // 32) * -(-self.size[1] // 32)
        self.fc = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(CHANNELS * cells, 512), nn.ReLU(inplace=True), nn.Dropout(dropout),
            nn.Linear(512, 512), nn.ReLU(inplace=True), nn.Dropout(dropout),
            nn.Linear(512, 2),
        )  # fmt: skip

    def stages(self, image: Tensor) -> dict[str, Tensor]:
        """As ``FullFace.stages``: ``conv5`` U, ``weighted conv5`` V [B, 256, h, w], ``fc`` [B, 512]."""
        u = self.narrow(self.features(self.input(image)))
        v = self.spatial_weights(u)
        return {"conv5": u, "weighted conv5": v, "fc": self.fc[:-1](v.flatten(1))}

    def weight_map(self, image: Tensor) -> Tensor:
        """W [B, h, w] for RGB images [B, 3, size, size] in [0, 1]."""
        return self.spatial_weights.weights(self.narrow(self.features(self.input(image)))).squeeze(1)

    def forward(self, image: Tensor) -> Tensor:
        """Gaze [B, 2] (pitch, yaw) in radians for RGB images [B, 3, size, size] in [0, 1]."""
        return self.fc[-1](self.stages(image)["fc"])
