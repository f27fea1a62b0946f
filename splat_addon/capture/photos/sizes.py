"""Whether a photo can be what its camera measured, told by their sizes."""

Size = tuple[int, int]  # width, height in pixels


def fits(photo: Size, camera: Size) -> bool:
    """Whether `photo` is the picture of `camera`, smaller or larger by one factor, to one pixel of the smaller one.

    A photo that was cropped, padded or stretched after it was measured is none: its lens is not known.
    """
    small, large = sorted((photo, camera), key=lambda size: size[0] * size[1])
    least = max((side - 1) / full for side, full in zip(small, large, strict=True))
    most = min((side + 1) / full for side, full in zip(small, large, strict=True))
    return least <= most
