"""Random crops, flips and rotations of a whole batch at once, on its device.

Equal in distribution to torchvision's ``RandomCrop(size, padding=4)``, ``RandomHorizontalFlip()``
and ``RandomRotation(20)``, in this order, each image with its own draw. The three only move pixels,
so a batch takes a single gather: where does each pixel of the result come from?
"""

import torch
from torch import Tensor

NAMES = ("crop", "flip", "rotation")
"""In the order in which they are applied."""

PADDING = 4  # pixels of zeros around the image that is cropped
DEGREES = 20.0  # the largest rotation, to either side


class Augmentation:
    """The draws of one epoch, for every sample; called with a batch and its samples' numbers.

    All draws are made at once and in a fixed order, whatever ``names`` asks for: a sample's crop
    depends neither on the batches nor on whether it is rotated too. Without names, images pass.
    """

    def __init__(
        self, names: tuple[str, ...], n: int, source: torch.Generator, device: torch.device
    ):
        draws = {}
        if names:
            draws["crop"] = torch.randint(0, 2 * PADDING + 1, (n, 2), generator=source)
            draws["flip"] = torch.rand(n, generator=source) < 0.5
            draws["rotation"] = torch.empty(n).uniform_(-DEGREES, DEGREES, generator=source)
        self.draws = {name: draws[name].to(device) for name in names}

    def __call__(self, images: Tensor, index: Tensor) -> Tensor:
        if not self.draws:
            return images
        return moved(images, **{name: draw[index] for name, draw in self.draws.items()})


def moved(
    images: Tensor,
    *,
    crop: Tensor | None = None,
    flip: Tensor | None = None,
    rotation: Tensor | None = None,
) -> Tensor:
    """``images`` ``[B, C, H, W]``, each cropped, flipped and rotated by its own amount.

    - ``crop``: int64 ``[B, 2]``, top and left corner inside the padded image, 0 to 8.
    - ``flip``: bool ``[B]``, left to right.
    - ``rotation``: degrees ``[B]``, counter-clockwise about the centre; each pixel is the nearest
      one of the image (found in float64, so that every device finds the same).

    What comes from outside the image is 0.
    """
    B, C, H, W = images.shape
    y = torch.arange(H, device=images.device).view(1, H, 1)
    x = torch.arange(W, device=images.device).view(1, 1, W)
    inside = torch.ones((), dtype=torch.bool, device=images.device)
    # From the last operation back to the first: (y, x) is where a pixel of the result was before.
    if rotation is not None:
        angle = rotation.double().deg2rad().view(B, 1, 1)
        up, right = y - (H - 1) / 2, x - (W - 1) / 2
        y = (angle.cos() * up + angle.sin() * right + (H - 1) / 2).round().long()
        x = (angle.cos() * right - angle.sin() * up + (W - 1) / 2).round().long()
        inside = within(y, H) & within(x, W)
    if flip is not None:
        x = torch.where(flip.view(B, 1, 1), W - 1 - x, x)
    if crop is not None:
        top, left = crop.view(B, 2, 1, 1).unbind(1)
        y, x = y + top - PADDING, x + left - PADDING
        inside = inside & within(y, H) & within(x, W)
    source = (y.clamp(0, H - 1) * W + x.clamp(0, W - 1)).expand(B, H, W)
    pixels = images.flatten(2).gather(2, source.reshape(B, 1, H * W).expand(B, C, H * W))
    return pixels.view(B, C, H, W).masked_fill(~inside.expand(B, H, W).unsqueeze(1), 0)


def within(position: Tensor, size: int) -> Tensor:
    return (position >= 0) & (position < size)
