"""Photos near the processor that trains: on a card as bytes, as long as its memory lasts."""

from dataclasses import replace

import torch
from torch import Tensor

from .photo import Photo

SHARE_FOR_PHOTOS = 0.4  # of a card's free memory, when a run begins; the rest is for gaussians


def room_for_photos(device: torch.device) -> int:
    """Bytes that photos may take on a device; 0 where they lie near anyway."""
    return int(torch.cuda.mem_get_info()[0] * SHARE_FOR_PHOTOS) if device.type == "cuda" else 0


class NearPhotos:
    """Photos where they are used: on the processor as they are, on a card copied once for as long as there is room,
    else again for each step, ahead of it."""

    def __init__(self, device: torch.device, room_bytes: int):
        self._device = device
        self._room = room_bytes
        self._kept: dict[int, tuple[Photo, Photo]] = {}  # by identity: a photo here, and its copy there
        self._ahead: tuple[Photo, Photo] | None = None

    def photo(self, photo: Photo) -> Photo:
        """The same photo with its pixels on the device."""
        if self._device.type == "cpu":
            return photo
        if id(photo) in self._kept:
            return self._kept[id(photo)][1]
        if self._ahead is not None and self._ahead[0] is photo:
            return self._ahead[1]
        return self._copied(photo)

    def prepare(self, photo: Photo) -> None:
        """Begin to copy the photo that comes next, without waiting for it."""
        if self._device.type != "cpu" and id(photo) not in self._kept:
            self._ahead = photo, self._copied(photo)

    def _copied(self, photo: Photo) -> Photo:
        alpha = None if photo.alpha is None else self._there(photo.alpha)
        mask = None if photo.mask is None else self._there(photo.mask)
        copy = replace(photo, rgb=self._there(photo.rgb), alpha=alpha, mask=mask)
        size = sum(plane.numel() for plane in (photo.rgb, photo.alpha, photo.mask) if plane is not None)
        if size <= self._room:
            self._room -= size
            self._kept[id(photo)] = photo, copy
        return copy

    def _there(self, plane: Tensor) -> Tensor:
        """A copy on the device; from memory that the system does not move, so that nobody waits for it."""
        if self._device.type == "cuda":
            plane = plane.pin_memory()
        return plane.to(self._device, non_blocking=True)
