"""The ways in which an encoder is shown a clip."""

from typing import Literal

View = Literal[
    "standard",
    "uncropped",
    "vbench",
    "vbench_noaa",
    "evalcrafter",
    "pil",
    "sampled",
    "padded",
    "sampled_padded",
    "half",
    "half_padded",
    "squashed_256",
]
"""How an encoder is shown a clip.

- ``standard``: all frames, or all consecutive pairs, with the encoder's own preprocessing;
- ``uncropped``: short side to the encoder's size, bilinear, no antialiasing, no crop;
- ``vbench``: as VBench's image-to-video dimensions prepare frames and input image, antialiased;
- ``vbench_noaa``: the same without antialiasing of the frames;
- ``evalcrafter``: squashed to the encoder's size, values 0 to 255, neither mean nor deviation;
- ``pil``: the encoder's own sizes, with frames and input image resized by PIL to 8 bit;
- ``sampled``: every max(1, round(fps / 8))-th frame, pairs of neighbours among those;
- ``padded``: edges repeated to sides that are multiples of 8, so that the padding counts too;
- ``sampled_padded``: both;
- ``half``: frames at half their size (2 x 2 averages, 8 bit), in values of [0, 1];
- ``half_padded``: 2 x 2 averages that are not rounded, in [0, 1], edges repeated to sides that are
  multiples of 8;
- ``squashed_256``: frames of 256 x 256 px, by PIL's bilinear filter, whatever their aspect ratio.
"""
OWN_PREPROCESSING: frozenset[View] = frozenset({"standard", "sampled", "half"})
"""Views that leave the preparation of a frame to the encoder."""
