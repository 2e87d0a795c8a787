"""The networks that turn a picture into 256 features: a small one for each camera, and SERL's ResNet-10.

Pictures are (n, 3, 128, 128) float32 in [0, 1]. Every network maps them to (n, 256) float32, before the
normalisation that `robot_rl.perception.encoder` applies.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from robot_rl.perception.settings import FEATURES, IMAGE, Pooling

NEAR_GAIN = 10.0
"""Of the near copy of a label, which is linear up to about a tenth of the label's scale."""
RESNET_STAGES = (64, 128, 256, 512)
"""Channels of the stages of ResNet-10, one block each."""
EMBEDDINGS = 8
"""Spatial learned embeddings of each channel."""

_CELLS = IMAGE // 4
_KEYPOINTS = 32
_GRID = 48
_WIDTH = 32


class KeypointNetwork(nn.Module):
    """A strided CNN that finds keypoints, and says where things are before it is asked.

    Two convolutions of stride 2 and three residual ones give a map of 32x32 cells. From it come 32 keypoints,
    the expected cell under a softmax over the map (soft-argmax: Finn et al., "Deep Spatial Autoencoders for
    Visuomotor Learning", ICRA 2016) with the largest value of each, and a coarse map of 4x4x48. Two dense
    layers make `hidden` of both, and a linear head on it the labels y that the network was trained for. The
    features of a picture are

        (hidden, y, tanh(10 y)),

    the last for labels that are relative to the hand: a millimetre near it, a hundredth of a label's scale,
    is then as visible to the learner as centimetres farther away.

    Args:
        labels: How many numbers the head predicts, each in units of its scale.
        near: So many of them, from the first, get a near copy.
    """

    def __init__(self, labels: int, near: int) -> None:
        super().__init__()
        hidden = FEATURES - labels - near
        self.near = near
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, _WIDTH, 4, 2, 1), nn.ReLU()
        )
        self.residuals = nn.ModuleList(
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=dilation, dilation=dilation) for dilation in (1, 2, 1)
        )
        self.keypoints = nn.Conv2d(_WIDTH, _KEYPOINTS, 1)
        self.grid = nn.Sequential(
            nn.Conv2d(_WIDTH, _GRID, 3, 2, 1), nn.ReLU(), nn.Conv2d(_GRID, _GRID, 3, 2, 1), nn.ReLU()
        )
        self.mixed = nn.Linear(3 * _KEYPOINTS + 16 * _GRID, FEATURES)
        self.hidden = nn.Linear(FEATURES, hidden)
        self.head = nn.Linear(hidden, labels)
        line = torch.linspace(-1.0, 1.0, _CELLS)
        cells = torch.stack([line.repeat(_CELLS), line.repeat_interleave(_CELLS)], 1)
        self.register_buffer("cells", cells, persistent=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 256 - l - near) hidden activations before their ReLU, and (n, l) labels."""
        maps = self.stem(pictures - 0.5)
        for convolution in self.residuals:
            maps = maps + F.relu(convolution(maps))
        coarse = F.avg_pool2d(self.grid(maps), 2).float()
        # A hundredth of a cell matters: from here on in full precision, also where the training has less.
        with torch.autocast("cpu", enabled=False):
            heat = self.keypoints(maps.float()).flatten(2)
            where = torch.softmax(heat, 2) @ self.get_buffer("cells")
            mixed = torch.cat([where.flatten(1), heat.amax(2), coarse.flatten(1)], 1)
            hidden = self.hidden(F.relu(self.mixed(mixed)))
            return hidden, self.head(F.relu(hidden))

    def features(self, pictures: Tensor) -> Tensor:
        """(n, 256) features."""
        hidden, labels = self(pictures)
        return torch.cat([hidden, labels, torch.tanh(NEAR_GAIN * labels[:, : self.near])], 1)


class ResNet10(nn.Module):
    """ResNet-10 as SERL uses it: 7x7 stem, four stages of one block, group normalisation; 4.9 M parameters.

    After He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the normalisation of Wu
    and He, "Group Normalization", ECCV 2018, in 4 groups (Luo et al., "SERL", ICRA 2024).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.norm = _group_norm(64)
        widths = (64, *RESNET_STAGES)
        self.stages = nn.Sequential(
            *(_Block(before, after) for before, after in zip(widths, RESNET_STAGES, strict=False))
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 512, 4, 4)."""
        centred = (pictures - _like(pictures, _IMAGENET_MEAN)) / _like(pictures, _IMAGENET_DEVIATION)
        maps = F.max_pool2d(F.relu(self.norm(self.stem(centred))), 3, 2, 1)
        return self.stages(maps)


class SpatialEmbeddings(nn.Module):
    """SERL's pooling: a channel's map is weighted by 8 learned maps and summed, (n, c, h, w) to (n, 8 c)."""

    def __init__(self, channels: int, cells: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, EMBEDDINGS, cells, cells) / cells)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.einsum("bchw,cehw->bce", maps, self.weight).flatten(1)


class ResNetEncoder(nn.Module):
    """ResNet-10, a pooling, and a dense projection to 256 features."""

    def __init__(self, backbone: ResNet10, pooling: Pooling) -> None:
        super().__init__()
        channels = RESNET_STAGES[-1]
        self.backbone, self.pooling = backbone, pooling
        if pooling == "spatial":
            self.pool: nn.Module = SpatialEmbeddings(channels, IMAGE // 32)
        else:
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.projection = nn.Linear(channels * (EMBEDDINGS if pooling == "spatial" else 1), FEATURES)

    def features(self, pictures: Tensor) -> Tensor:
        """(n, 256) features."""
        return self.projection(self.pool(self.backbone(pictures)))


def randomise(network: nn.Module, seed: int) -> None:
    """Fixed random weights: orthogonal with the gain of a ReLU, biases zero, the same for equal seeds."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.orthogonal_(module.weight, nn.init.calculate_gain("relu"), generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, SpatialEmbeddings):
                module.weight.normal_(generator=generator).div_(module.weight.shape[-1])


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a strided 1x1 convolution where shapes change."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        stride = 1 if before == after else 2
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.first_norm = _group_norm(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.second_norm = _group_norm(after)
        self.shortcut = nn.Sequential()
        if before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), _group_norm(after))

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.relu(self.first_norm(self.first(maps)))
        return F.relu(self.second_norm(self.second(inner)) + self.shortcut(maps))


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(4, channels, eps=1e-5)


_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def _like(pictures: Tensor, values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values, dtype=pictures.dtype).view(1, 3, 1, 1)
