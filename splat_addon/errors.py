"""Everything a user may be told: what is wrong with their thing, and what to do about it."""


class SplatError(Exception):
    """A failure that the user can mend. Anything else that is raised is a bug and keeps its traceback."""

    def __init__(self, message: str, remedy: str):
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


class CameraError(SplatError):
    """A camera that cannot be expressed as a pinhole camera, or holds impossible numbers."""


class CaptureError(SplatError):
    """A capture folder that cannot be read or written."""


class SplatFileError(SplatError):
    """A splat or point file that cannot be read or written."""


class RunError(SplatError):
    """A training run that cannot start or continue."""


class LessonError(SplatError):
    """An image that cannot be fitted, or a fit that cannot go on."""


class SceneError(SplatError):
    """A scene or a data-block in which nothing may be changed."""


class OutputError(SplatError):
    """An image or a movie that cannot be drawn or written."""


class SetupError(SplatError):
    """Something that training needs is missing on this machine."""


def some_of(names, count: int = 3) -> str:
    """A few names for a sentence: 'a.png, b.png, c.png and 7 more'."""
    names = list(names)
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more} more" if more > 0 else "")
