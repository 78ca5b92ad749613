"""The definitions behind the metrics: what is computed, from what, in which unit, and who defined
it. Data only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

EncoderKind = Literal[
    "image", "image-text", "flow", "video", "pixels", "perceptual", "quality", "style"
]
Scope = Literal["clip", "set"]
View = Literal["standard", "uncropped", "sampled", "half"]
"""How an encoder is shown a clip.

- ``standard``: all frames, or all consecutive pairs, with the encoder's own preprocessing;
- ``uncropped``: short side to the encoder's size, bilinear, no antialiasing, no crop;
- ``sampled``: every max(1, round(fps / 8))-th frame, pairs of neighbours among those;
- ``half``: frames at half their size (2 x 2 averages), in values of [0, 1].
"""


@dataclass(frozen=True, kw_only=True)
class Family:
    """What all metrics of one name share, whatever encoder they use.

    Attributes:
        name: first part of the metric id; a published protocol's name starts with who published it.
        kind: kind of encoder whose features it reads.
        unit: of the value.
        higher_is_better: None where neither direction is better.
        description: one sentence that defines the value.
        source: protocol or paper the definition comes from.
        scope: ``clip`` for one value per clip, ``set`` for one value per set of clips.
        view: how the encoder is shown the clip.
        published: the encoder of the published protocol; values with another encoder do not
            compare with it. None for definitions of this suite.
        caution: what a reader must know before trusting the value.
        truth: whether samples must bring the glyph world's ground truth.
        versions: frozen protocol versions.
    """

    name: str
    kind: EncoderKind
    unit: str
    higher_is_better: bool | None
    description: str
    source: str
    scope: Scope = "clip"
    view: View = "standard"
    published: str | None = None
    caution: str = ""
    truth: bool = False
    versions: tuple[str, ...] = ("v1",)


_IDENTITY = (
    "Caron et al. 2021 (DINO features); Ruiz et al. 2023 (DreamBooth's DINO score), "
    "against the input image"
)
_TEXT = "Hessel et al. 2021 (CLIPScore without rescaling), per frame"
_MOTION = (
    "Flow score of EvalCrafter and dynamic degree of VBench, made continuous and free of "
    "frame size and rate"
)
_PAPER = "Guo et al. 2024 (I2V-Adapter), table 1"
_VBENCH = "Huang et al. 2024 (VBench)"
_EVALCRAFTER = "Liu et al. 2024 (EvalCrafter)"
_WARPING = "Lai et al. 2018 (temporal consistency); occlusion test of Sundaram et al. 2010"
_SIZES = "frame sizes/s"
_EXACT = "This suite; the glyph world's ground truth, arithmetic without a network"

_ALL = (
    Family(
        name="identity",
        kind="image",
        unit="cosine",
        higher_is_better=True,
        description="Mean cosine between the input image and frames 1, 2, ... (frame 0 left out).",
        source=_IDENTITY,
    ),
    Family(
        name="identity_min",
        kind="image",
        unit="cosine",
        higher_is_better=True,
        description="Smallest cosine between the input image and any of frames 1, 2, ....",
        source=_IDENTITY,
    ),
    Family(
        name="identity_last",
        kind="image",
        unit="cosine",
        higher_is_better=True,
        description="Cosine between the input image and the last frame.",
        source=_IDENTITY,
    ),
    Family(
        name="dreambooth.dino",
        kind="image",
        unit="100 x cosine",
        higher_is_better=True,
        description="100 times the mean cosine between the input image and frames 1, 2, ....",
        source="Ruiz et al. 2023 (DreamBooth); Wu et al. 2024 (FreeInit)",
        published="dino_vits16",
        caution="Prompts differ by tens of points; never compare without the interval.",
    ),
    Family(
        name="vbench.i2v_subject",
        kind="image",
        unit="score",
        higher_is_better=True,
        description="0.4 max c + 0.3 mean d + 0.3 min d, with c the cosines to the input image and "
        "d those of "
        "neighbouring frames, negative ones taken as 0.",
        source=f"{_VBENCH}, image-to-video subject",
        published="dino_vitb16",
        caution="Saturates when frame 0 is the input image: a drift of 90 degrees scores 0.997. "
        "Never gate on it.",
    ),
    Family(
        name="vbench.subject_consistency",
        kind="image",
        view="uncropped",
        unit="score",
        higher_is_better=True,
        description="Mean over frames 1, 2, ... of (cosine to the frame before + cosine to frame "
        "0) / 2, negative "
        "cosines taken as 0.",
        source=f"{_VBENCH}, subject consistency",
        published="dino_vitb16",
        caution="Never looks at the input image.",
    ),
    Family(
        name="text",
        kind="image-text",
        unit="100 x cosine",
        higher_is_better=True,
        description="Mean over frames of 100 times the cosine between prompt and frame.",
        source=_TEXT,
    ),
    Family(
        name="text_min",
        kind="image-text",
        unit="100 x cosine",
        higher_is_better=True,
        description="Smallest over frames of 100 times the cosine between prompt and frame.",
        source=_TEXT,
    ),
    Family(
        name="paper.clip_temp",
        kind="image-text",
        unit="cosine",
        higher_is_better=True,
        description="Mean cosine between the input image and every frame, frame 0 too, in CLIP's "
        "space.",
        source=f"{_PAPER}, CLIPTemp",
        published="clip_vitb32_openai",
        caution="The paper does not say whether frame 0 counts; it adds 1/F where it is the input.",
    ),
    Family(
        name="evalcrafter.clip_temp",
        kind="image-text",
        unit="cosine",
        higher_is_better=True,
        description="Mean cosine between neighbouring frames in CLIP's space.",
        source=f"{_EVALCRAFTER}, CLIP-Temp",
        published="clip_vitb32_openai",
        caution="Slow drift hardly lowers it, and a still clip scores 1.",
    ),
    Family(
        name="motion",
        kind="flow",
        unit=_SIZES,
        higher_is_better=None,
        description="Mean optical-flow magnitude, divided by the shorter frame side, times frames "
        "per second.",
        source=_MOTION,
    ),
    Family(
        name="motion_top5",
        kind="flow",
        unit=_SIZES,
        higher_is_better=None,
        description="As motion, over the fastest 5 % of the pixels of each pair of frames.",
        source=_MOTION,
    ),
    Family(
        name="evalcrafter.flow_score",
        kind="flow",
        unit="px/frame",
        higher_is_better=None,
        description="Mean optical-flow magnitude in px from each frame to the next, at the clip's "
        "own rate and size.",
        source=f"{_EVALCRAFTER}, flow score",
        published="raft_things",
        caution="Doubles with the frame size and halves with the frame rate: equal sizes and rates "
        "only.",
    ),
    Family(
        name="paper.flow_score",
        kind="flow",
        unit="px/frame",
        higher_is_better=None,
        description="Mean optical-flow magnitude in px from each frame to the next.",
        source=f"{_PAPER}, FlowScore",
        published="raft_things",
        caution="The paper counts more as better, and states neither frame size nor scale (its "
        "values are 0.1 to 1.6).",
    ),
    Family(
        name="vbench.dynamic_degree",
        kind="flow",
        view="sampled",
        unit="share of clips",
        higher_is_better=None,
        description="1 if at least round(N / 4) of the pairs among N sampled frames move, else 0; "
        "a pair moves if its "
        "fastest 5 % of pixels average over 6 min(H, W) / 256 px.",
        source=f"{_VBENCH}, dynamic degree",
        published="raft_things",
        caution="The fps tag changes the verdict, and at N = 2 every clip is dynamic. Never gate "
        "on it.",
    ),
    Family(
        name="warping",
        kind="flow",
        unit="squared difference",
        higher_is_better=False,
        description="Mean over pairs of sum((frame i - frame i+1 warped onto it)^2 x visible) / "
        "sum(visible), RGB in "
        "[0, 1] summed over channels.",
        source=_WARPING,
        caution="A still clip scores 0: read it beside motion.",
    ),
    Family(
        name="paper.warping_error",
        kind="flow",
        view="half",
        unit="1000 x squared difference",
        higher_is_better=False,
        description="1000 times the warping error of the frames at half their size.",
        source=f"{_PAPER}, WarpingError; {_EVALCRAFTER}; {_WARPING}",
        published="raft_things",
        caution="The factor 1000 is inferred from the paper's values.",
    ),
    Family(
        name="smoothness",
        kind="flow",
        unit="frame sizes/s²",
        higher_is_better=False,
        description="Mean magnitude of the change of flow from pair to pair at each pixel, divided "
        "by the shorter "
        "frame side, times the frame rate squared: 0 for steady motion.",
        source="This suite; the discrete acceleration of the flow",
        caution="Edges of moving things count where they pass; compare clips of like motion.",
    ),
    Family(
        name="flicker",
        kind="pixels",
        unit="share of range",
        higher_is_better=False,
        description="Mean absolute second difference of pixel values over time, divided by its "
        "largest possible value: "
        "0 for still frames and steady fades, 1 for black and white in turn.",
        source="This suite; second differences, so that a fade is no flicker",
        caution="Moving edges count too; compare clips of like motion.",
    ),
    Family(
        name="vbench.temporal_flickering",
        kind="pixels",
        unit="score",
        higher_is_better=True,
        description="(255 - mean absolute difference of neighbouring frames) / 255.",
        source=f"{_VBENCH}, temporal flickering",
        published="pixels",
        caution="Any motion lowers it; VBench applies it to clips meant to be still.",
    ),
    Family(
        name="lpips",
        kind="perceptual",
        unit="distance",
        higher_is_better=False,
        description="Mean LPIPS distance between the input image and frames 1, 2, ... (frame 0 "
        "left out).",
        source="Zhang et al. 2018 (LPIPS); torchmetrics' implementation",
        caution="Sensitive to place: a thing that moves is a thing that changed.",
    ),
    Family(
        name="dover.technical",
        kind="quality",
        unit="raw score",
        higher_is_better=True,
        description="Raw output of DOVER's technical head, by the loader that is installed.",
        source="Wu et al. 2023 (DOVER); the paper's DoverVQA is probably this head",
        published="dover_technical",
        caution="Trained on user videos; it has not seen what generators get wrong.",
    ),
    Family(
        name="exact.glyph",
        kind="pixels",
        unit="share of frames",
        higher_is_better=True,
        description="Share of frames 1, 2, ... whose foreground is, of all glyphs, most like the "
        "true one.",
        source=_EXACT,
        caution="Knows plain glyphs; it names 99.9 % of the frames of true clips rightly.",
        truth=True,
    ),
    Family(
        name="exact.colour",
        kind="pixels",
        unit="share of frames",
        higher_is_better=True,
        description="Share of frames 1, 2, ... whose foreground's mean colour is nearest to the "
        "true one of 8.",
        source=_EXACT,
        truth=True,
    ),
    Family(
        name="exact.position",
        kind="pixels",
        unit="px",
        higher_is_better=False,
        description="Mean distance of the foreground's centroid from its true place in frames 1, "
        "2, ...; a frame "
        "without a foreground counts half its diagonal.",
        source=_EXACT,
        caution="A still clip of a prompt without direction is right about place: read it beside "
        "motion.",
        truth=True,
    ),
    Family(
        name="exact.direction",
        kind="flow",
        unit="cosine",
        higher_is_better=True,
        description="Cosine between a clip's summed flow and the prompted direction; 0 for prompts "
        "without one.",
        source=_EXACT,
        caution="Average it over prompts with a direction only.",
        truth=True,
    ),
    Family(
        name="style",
        kind="style",
        unit="share of frames",
        higher_is_better=True,
        description="Share of frames 1, 2, ... that the judge of styles reads as drawn in the "
        "sample's style (truth "
        "'style', or plain).",
        source="This suite; a classifier trained on the glyph world's styles",
    ),
    Family(
        name="fvd",
        kind="video",
        scope="set",
        unit="squared feature distance",
        higher_is_better=False,
        description="Fréchet distance between Gaussians fitted to the video features of true and "
        "generated clips.",
        source="Unterthiner et al. 2018 (FVD); Ge et al. 2024 (VideoMAE features)",
        caution="Biased upwards by about c/N: equal N, frames and size only, and beside it the "
        "bias-corrected figure.",
    ),
    Family(
        name="kvd",
        kind="video",
        scope="set",
        unit="squared feature distance",
        higher_is_better=False,
        description="Unbiased squared maximum mean discrepancy (cubic kernel) between features of "
        "true and generated "
        "clips.",
        source="Binkowski et al. 2018 (KID); Unterthiner et al. 2018 (KVD)",
        caution="Unbiased, so it may be negative; not an FVD, and of another scale.",
    ),
)

FAMILIES: Mapping[str, Family] = {family.name: family for family in _ALL}
"""All families by name, in the order in which tables show them."""
