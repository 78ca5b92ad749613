"""Cross-frame attention (paper, equations 5 and 6) as a diffusers attention processor.

For frame i of a video, with tokens X_i and the frozen projections of the layer::

    out_i = softmax(Q_i K_i^T / sqrt(d)) V_i W_O + softmax(Q'_i K_1^T / sqrt(d)) V_1 W_O'
    Q'_i = X_i W_Q'

W_Q' and W_O' are a :class:`CrossFrameProjections`. The processor refers to it without owning it:
diffusers rebuilds processors at will, so a weight kept inside one would be lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from diffusers.models.attention_dispatch import (
    AttentionBackendName,
    _AttentionBackendRegistry,
    dispatch_attention_fn,
)
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from i2v_adapter.fused_projections import FusedProjections, separate

FrameScale: TypeAlias = float | Sequence[float] | Tensor
Scale: TypeAlias = FrameScale | Mapping[str, FrameScale]


class CrossFrameProjections(nn.Module):
    """W_Q' (no bias) and W_O' (with bias, both zero at first) of one self-attention layer.

    Args:
        channels: width of the layer's tokens.
        inner: width of its queries, heads times head dimension.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.to_q_ff = nn.Linear(channels, inner, bias=False)
        self.to_out_ff = nn.Linear(inner, channels)
        nn.init.zeros_(self.to_out_ff.weight)
        nn.init.zeros_(self.to_out_ff.bias)


@dataclass
class CrossFrameState:
    """What all processors of one adapter share: the frames per video of the forward pass at hand,
    and the scale, which is a number, one for each frame, or a mapping of the starts of layers'
    paths to either.

    Gradient checkpointing runs a layer again during the backward pass and reads the state then:
    finish the backward pass before a forward pass with another number of frames.
    """

    num_frames: int | None = None
    scale: Scale = 1.0
    factor: Tensor | None = None
    _of_frames: dict[Any, Tensor] = field(default_factory=dict)

    def set_scale(self, scale: Scale) -> None:
        """A new scale. One number other than 0 is also kept as a tensor, `factor`, which compiled
        code reads: a change of it changes no code.
        """
        self.scale = scale
        self._of_frames.clear()
        if not isinstance(scale, float) or scale == 0:
            self.factor = None
        elif self.factor is None:
            self.factor = torch.full((), scale, dtype=torch.float32, device="cpu")
        else:
            self.factor.fill_(scale)

    def move(self, device: torch.device) -> None:
        """Brings `factor` to the device of the tokens."""
        if self.factor is not None and self.factor.device != device:
            self.factor = self.factor.to(device)

    def factors(self, scale: FrameScale, dtype: torch.dtype, device: torch.device) -> Tensor:
        """(F,) of a scale with one number for each frame, copied to the device once."""
        if torch.compiler.is_compiling():
            return torch.as_tensor(scale, dtype=dtype, device=device)
        version = scale._version if isinstance(scale, Tensor) else tuple(scale)  # type: ignore[arg-type]
        key = (id(scale), version, dtype, device)
        if key not in self._of_frames:
            with torch.inference_mode(False):
                self._of_frames[key] = torch.as_tensor(scale, dtype=dtype, device=device)
        return self._of_frames[key]

    def scale_of(self, path: str) -> FrameScale:
        """The scale of the layer at `path`: of a mapping, the value of the longest start of the
        path that it names.
        """
        if not isinstance(self.scale, Mapping):
            return self.scale
        starts = [start for start in self.scale if f"{path}.".startswith(f"{start}.")]
        return self.scale[max(starts, key=len)] if starts else 1.0


class CrossFrameAttnProcessor:
    """`AttnProcessor2_0` plus the cross-frame branch. Tokens are (B * F, HW, C), the frame index
    fastest.

    Built without arguments, as diffusers does when it rebuilds processors, it refuses to run: the
    adapter puts a connected one in its place before the next forward pass of the UNet.

    Args:
        projections: W_Q' and W_O' of the layer.
        state: number of frames and scale. At scale 0 the branch is left out.
        path: of the layer in the UNet, for scales that differ between layers.
        backend: of diffusers' attention backends; None: torch's own. `set_attention_backend` of the
            UNet sets it too.
    """

    def __init__(
        self,
        projections: CrossFrameProjections | None = None,
        state: CrossFrameState | None = None,
        path: str = "",
        backend: Any = None,
    ) -> None:
        self.projections = projections
        self.state = state
        self.path = path
        self.released = False
        self._fused: FusedProjections | None = None
        self._attention_backend = backend

    def release(self) -> None:
        """Become the layer's own self-attention: something may hold on to the processor of a
        detached adapter.
        """
        self.projections, self.state, self.released, self._fused = None, None, True, None

    def fuse(self, attn: Attention, fused: bool) -> None:
        """Joins the projections of the layer `attn` in one product, or keeps them apart."""
        assert self.projections is not None
        layers = [attn.to_q, attn.to_k, attn.to_v, self.projections.to_q_ff]
        if fused:
            self._fused = self._fused or FusedProjections()
            self._fused.fit(layers)
        elif self._fused is not None:
            self._fused = None
            separate(layers)

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        if self.state is None and not self.released:
            raise RuntimeError(
                "a cross-frame attention processor is not connected to its adapter: call the UNet "
                "itself rather than"
                " its .forward, or take the adapter off with I2VAdapter.detach()"
            )
        if encoder_hidden_states is not None:
            raise ValueError(
                "cross-frame attention replaces self-attention, but encoder_hidden_states were "
                "given"
            )

        residual = hidden_states
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        spatial_shape = hidden_states.shape if hidden_states.ndim == 4 else None
        if spatial_shape is not None:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        batch, tokens, _ = hidden_states.shape
        if attention_mask is not None:
            attention_mask = attn.prepare_attention_mask(attention_mask, tokens, batch)
            attention_mask = attention_mask.view(batch, attn.heads, -1, attention_mask.shape[-1])
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)

        if self.state is None:
            scale: FrameScale = 0.0
        elif self.state.factor is not None and torch.compiler.is_compiling():
            scale = self.state.factor
        else:
            scale = self.state.scale_of(self.path)
        crossing = not isinstance(scale, (int, float)) or scale != 0

        own, cross_query = self._project(attn, hidden_states, crossing)
        query, key, value = (_split_heads(projected, batch, attn.heads) for projected in own)
        if attn.norm_q is not None:
            query = attn.norm_q(query)
        if attn.norm_k is not None:
            key = attn.norm_k(key)

        attended = self._attend(query, key, value, attention_mask)
        output = attn.to_out[0](_join_heads(attended, batch).to(query.dtype))
        if crossing:
            assert self.projections is not None
            if cross_query is None:
                # The adapter may be kept in float32 for training on a half-precision base.
                to_q = self.projections.to_q_ff
                cross_query = to_q(hidden_states.to(_dtype_of(to_q, hidden_states)))
            cross = self._cross_frame(attn, cross_query, key, value, attention_mask, scale)
            output = output + cross.to(output.dtype)

        output = attn.to_out[1](output)
        if spatial_shape is not None:
            output = output.transpose(-1, -2).reshape(spatial_shape)
        if attn.residual_connection:
            output = output + residual
        return output / attn.rescale_output_factor

    def _project(
        self, attn: Attention, tokens: Tensor, crossing: bool
    ) -> tuple[list[Tensor], Tensor | None]:
        """Q, K, V of the tokens, and Q' if it shares their product."""
        layers = [attn.to_q, attn.to_k, attn.to_v]
        found: list[Tensor | None] = [None] * 4
        if crossing and self._fused is not None:
            assert self.projections is not None
            found = self._fused.outputs([*layers, self.projections.to_q_ff], tokens)
        own = [
            layer(tokens) if output is None else output
            for layer, output in zip(layers, found[:3], strict=True)
        ]
        return own, found[3]

    def _cross_frame(
        self,
        attn: Attention,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scale: FrameScale,
    ) -> Tensor:
        """The second term of equation 5 times the scale, (B * F, HW, C), from Q': all queries of a
        video in one call.
        """
        assert self.projections is not None
        assert self.state is not None
        batch, frames = query.shape[0], self.state.num_frames
        if frames is None or batch % frames:
            raise RuntimeError(
                f"cross-frame attention got {batch} images, which is no whole number of videos of "
                f"{frames} frames:"
                " call the UNet itself rather than its .forward"
            )
        to_out = self.projections.to_out_ff
        query = _split_heads(query, batch // frames, attn.heads)
        if attn.norm_q is not None:
            query = attn.norm_q(query)
        if attention_mask is not None:
            if attention_mask.shape[2] != 1:
                raise ValueError(
                    "cross-frame attention takes attention masks over keys only, not one row per "
                    "query"
                )
            attention_mask = attention_mask[::frames]
        # [::frames] is a view of each video's first frame.
        attended = self._attend(query.to(key.dtype), key[::frames], value[::frames], attention_mask)
        joined = _join_heads(attended, batch)
        output = to_out(joined.to(_dtype_of(to_out, joined)))
        if isinstance(scale, (int, float)):
            return output if scale == 1 else scale * output
        if isinstance(scale, Tensor) and scale.ndim == 0:
            return scale * output
        if len(scale) != frames:
            raise ValueError(f"scale has {len(scale)} values for the {frames} frames of a video")
        factors = self.state.factors(scale, output.dtype, output.device)
        return factors.repeat(batch // frames)[:, None, None] * output

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Attention of (B, heads, tokens, head dimension) by the backend that was chosen."""
        if self._attention_backend is None:
            return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        tokens_first = (tensor.transpose(1, 2) for tensor in (query, key, value))
        attended = dispatch_attention_fn(
            *tokens_first, attn_mask=mask, backend=self._attention_backend
        )
        return attended.transpose(1, 2)


def active_attention_backend() -> Any:
    """What `set_attention_backend` or `DIFFUSERS_ATTN_BACKEND` chose; None for torch's own."""
    active, _ = _AttentionBackendRegistry.get_active_backend()
    return None if active == AttentionBackendName.NATIVE else active


def _dtype_of(layer: nn.Linear, tokens: Tensor) -> torch.dtype:
    """What the layer computes in: its weight's dtype, or the tokens' where the weight is stored in
    eight bits and cast for each call (`enable_layerwise_casting`).
    """
    return tokens.dtype if layer.weight.dtype.itemsize == 1 else layer.weight.dtype


def _split_heads(tokens: Tensor, batch: int, heads: int) -> Tensor:
    return tokens.reshape(batch, -1, heads, tokens.shape[-1] // heads).transpose(1, 2)


def _join_heads(attended: Tensor, batch: int) -> Tensor:
    return attended.transpose(1, 2).reshape(batch, -1, attended.shape[1] * attended.shape[3])


def spatial_self_attentions(unet: nn.Module) -> dict[str, Attention]:
    """Path -> layer of every spatial self-attention (`attn1`) of a UNet: down, mid and up blocks,
    no motion modules.
    """
    return {
        path: module
        for path, module in unet.named_modules()
        if isinstance(module, Attention)
        and path.endswith(".attn1")
        and ".motion_modules." not in path
    }
