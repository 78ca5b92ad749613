"""What a formula is given: one clip as its encoder sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eval.clips.lossless import Clip
    from eval.metrics.pairs import PairStep
    from eval.samples import Sample


class Features(Protocol):
    """What a formula is given: one clip as its encoder sees it. Each feature is computed when it is
    first asked for, and only once.

    Attributes:
        clip: frames uint8 (F, H, W, 3) and rate.
        sample: what the clip was made from.
        known_styles: every style that an encoder of kind style can name.

    Examples:
        >>> def largest_step(features: Features) -> float:
        ...     frames = features.clip.frames.astype(float)
        ...     return float(abs(frames[1:] - frames[:-1]).max())
        >>> import numpy as np
        >>> from types import SimpleNamespace
        >>> from eval import Clip
        >>> largest_step(SimpleNamespace(clip=Clip(np.zeros((4, 8, 8, 3), np.uint8), 8.0)))
        0.0
    """

    @property
    def clip(self) -> Clip: ...
    @property
    def sample(self) -> Sample: ...
    @property
    def known_styles(self) -> Sequence[str]: ...

    def image(self) -> NDArray[np.float32]:
        """Feature (D,) of the input image; encoders of kind image and image-text."""
        ...

    def prompt(self) -> NDArray[np.float32]:
        """Feature (D,) of the prompt; encoders of kind image-text."""
        ...

    def frames(self) -> NDArray[np.float32]:
        """Features (F, D) of the frames; encoders of kind image and image-text."""
        ...

    def distances(self) -> NDArray[np.float32]:
        """Distances (F,) of the frames from the input image; encoders of kind perceptual."""
        ...

    def quality(self) -> float:
        """Score of the clip; encoders of kind quality."""
        ...

    def scores(self) -> NDArray[np.float32]:
        """Score (F,) of each frame; encoders of kind frame-score."""
        ...

    def interpolation(self) -> NDArray[np.float32]:
        """Errors (P,) of every other frame, in 8-bit steps; encoders of kind interpolation."""
        ...

    def judged(self) -> NDArray[np.float32]:
        """Score (D,) of each dimension of a learned judge, in its order; kind judge."""
        ...

    def styles(self) -> list[str]:
        """The most probable style of each frame; encoders of kind style."""
        ...

    def flow(self, direction: Literal["forward", "backward"] = "forward") -> NDArray[np.float32]:
        """Flow (P, H, W, 2) in px between neighbours; encoders of kind flow. All of it lies in
        memory: 8 bytes a pixel and pair. `over_pairs` holds a few pairs at a time.
        """
        ...

    def over_pairs(self, step: PairStep) -> list[Any]:
        """What the step's function gives for each pair of neighbours, in order; encoders of kind
        flow. Steps that a metric was registered with (`pairs=`) share one pass over the clip.
        """
        ...

    def tracks(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where points (N, 2) of frame 0, (x, y) in px, are in each frame of this view, (F, N, 2);
        encoders of kind tracks."""
        ...

    def known_prompt(self) -> str:
        """The sample's prompt as text, an error where it is not known; encoders of any kind."""
        ...

    def known_image(self) -> NDArray[np.uint8]:
        """The input image, uint8 (H, W, 3), an error where it is not known; encoders of any
        kind."""
        ...

    def squashed_frame(self) -> NDArray[np.uint8]:
        """Frame 0 at the input image's size, uint8 (h, w, 3), by OpenCV's bilinear filter, whatever
        the aspect ratio; encoders of any kind."""
        ...

    def resized(
        self, height: int, width: int, places: Sequence[int] | None = None
    ) -> NDArray[np.uint8]:
        """The frames at these places, or all, at another size, uint8 (F, height, width, 3), by
        OpenCV's bilinear filter, whatever the aspect ratio; encoders of any kind."""
        ...

    def encoded(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (N, D) of other frames, uint8 (N, H, W, 3), as this view shows them; encoders of
        kind image and image-text."""
        ...

    def true_clip(self) -> Clip:
        """The sample's true clip; encoders of any kind."""
        ...

    def true_distances(self) -> NDArray[np.float32]:
        """Distances (F,) of the frames from the true clip's; encoders of kind perceptual."""
        ...

    def fitted_image(self) -> NDArray[np.float64]:
        """The input image in [0, 1] at the clip's size, float64 (H, W, 3): bicubic, antialiased,
        with a centre crop where the aspect ratios differ; encoders of any kind."""
        ...

    def values(self) -> NDArray[np.float64]:
        """The frames in [0, 1], float64 (F, H, W, 3), at the size of the definition's view."""
        ...
