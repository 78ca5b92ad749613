"""The clips that the stages draw from, on the device: frames, latents, and what encoders make of
them, each computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from eval.world_training.gpu.rendering import Rendering
from eval.world_training.gpu.trainer import Draws

_AT_ONCE = 128  # clips through an encoder


class Clips:
    """Rows as in `Rendering`; tensors on the device.

    Attributes:
        frames: uint8 (N, F, H, W, 3); masks: uint8 (N, F, H, W); places: float32 (N, F, 3).
        latents: float16 (N, F, C, h, w), after `encode`.
        tokens, others: int64 (N, L), of captions and of captions with another motion, after
            `tokenize`.
        states, other_states: (N, L, D), what the text encoder makes of them, after `read`;
            no_text: (L, D).
    """

    latents: Tensor
    tokens: Tensor
    others: Tensor
    empty: Tensor
    states: Tensor
    other_states: Tensor
    no_text: Tensor

    def __init__(self, rendering: Rendering, device: str) -> None:
        self._rendering, self._copied = rendering, 0
        self._device = device
        self.starts = rendering.starts
        self.frames, self.masks, self.places = (
            torch.zeros(part.shape, dtype=dtype, device=device)
            for part, dtype in (
                (rendering.frames, torch.uint8),
                (rendering.masks, torch.uint8),
                (rendering.places, torch.float32),
            )
        )
        self._rows = torch.zeros(len(self.frames), dtype=torch.int64, device=device)
        self._known = 0  # rows that are copied, the first of `_rows`

    def pull(self) -> int:
        """Copies what has been drawn since the last call; how many clips are here in all."""
        ready = self._rendering.ready()
        for number in range(self._copied, ready):
            part, first, last = self._rendering.chunks[number]
            for here, there in (
                (self.frames, self._rendering.frames),
                (self.masks, self._rendering.masks),
                (self.places, self._rendering.places),
            ):
                here[first:last].copy_(torch.from_numpy(there[first:last]))
            if part.style is None:
                rows = torch.arange(first, last, device=self._device)
                self._rows[self._known : self._known + len(rows)] = rows
                self._known += len(rows)
        self._copied = ready
        return self._known

    def any_row(self, draws: Draws, count: int) -> Tensor:
        """int64 (count,): rows of the plain clips that are here by now."""
        return self._rows[draws.integers(self._known, count)]

    def rows(self, draws: Draws, part: str, count: int) -> Tensor:
        """int64 (count,): rows of a part."""
        first, last = self.starts[part]
        return draws.integers(last, count, low=first)

    def images(self, rows: Tensor, moments: Tensor | int) -> Tensor:
        """float32 (count, 3, H, W) in [-1, 1]: one frame of each row."""
        return self.frames[rows, moments].permute(0, 3, 1, 2).float() / 127.5 - 1.0

    def finish(self) -> None:
        """Waits for the rendering and copies the rest."""
        self._rendering.wait()
        self.pull()

    @torch.no_grad()
    def encode(self, vae: Any, seed: int = 2000) -> None:
        """`latents`: samples of the VAE's posterior times its scaling factor."""
        noise, parts = Draws(self._device, seed, 0), []
        for frames in self.frames.split(_AT_ONCE):
            images = frames.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1.0
            posterior = vae.encode(images.to(vae.dtype)).latent_dist
            mean, deviation = posterior.mean.float(), posterior.std.float()
            latents = (mean + deviation * noise.normal(mean)) * vae.config.scaling_factor
            parts.append(latents.unflatten(0, frames.shape[:2]).half())
        self.latents = torch.cat(parts)

    def tokenize(self, tokenizer: Any) -> None:
        """`tokens`, `others` and `empty`, the prompt that says nothing."""
        both = [self._rendering.captions, self._rendering.others]
        self.tokens, self.others = (self._tokens(tokenizer, captions) for captions in both)
        self.empty = self._tokens(tokenizer, [b""])[0]

    def _tokens(self, tokenizer: Any, captions: Any) -> Tensor:
        words = sorted({bytes(caption) for caption in captions})
        number = {word: index for index, word in enumerate(words)}
        encoded = tokenizer(
            [word.decode() for word in words],
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        ).input_ids
        rows = torch.tensor([number[bytes(caption)] for caption in captions])
        return encoded[rows].to(self._device)

    @torch.no_grad()
    def read(self, text_encoder: Any) -> None:
        """`states`, `other_states` and `no_text`."""

        def states(tokens: Tensor) -> Tensor:
            return torch.cat([text_encoder(part).last_hidden_state for part in tokens.split(4096)])

        self.states, self.other_states = states(self.tokens), states(self.others)
        self.no_text = states(self.empty[None])[0]

    @torch.no_grad()
    def first_frames(self, encoder: Callable[[Tensor], Tensor]) -> Tensor:
        """What an image encoder makes of every clip's first frame, (N, ...)."""
        rows = torch.arange(len(self.frames), device=self._device)
        return torch.cat([encoder(self.images(part, 0)) for part in rows.split(2048)])
