"""The trainable module of the paper: W_Q' and W_O' for every spatial self-attention of a motion
UNet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import _get_model_file
from torch import nn

from i2v_adapter.attachment import Attachment
from i2v_adapter.attention import (
    CrossFrameAttnProcessor,
    CrossFrameProjections,
    CrossFrameState,
    Scale,
    active_attention_backend,
    spatial_self_attentions,
)
from i2v_adapter.checkpoint_formats import (
    check_layers,
    check_tensors,
    load_own,
    locate,
    read_released,
    stable_diffusion_15_layers,
)
from i2v_adapter.normalization import pool_group_norms
from i2v_adapter.unet_layers import (
    check_fit,
    check_starts,
    layer_shapes,
    name_repeated_blocks,
    natural_order,
    uncompiled,
)


class I2VAdapter(ModelMixin, ConfigMixin):
    """Image-to-video adapter for a frozen :class:`~diffusers.UNetMotionModel` (paper, section 3.2).

    The weights live here and nowhere else: attaching changes neither the UNet's parameters nor its
    state dict. Parameter names are those of the official checkpoint: `<path of attn1 in the
    UNet>.to_q_ff.weight`, `.to_out_ff.weight` and `.to_out_ff.bias`. `save_pretrained` and
    `from_pretrained` are those of every diffusers model (`config.json` and
    `diffusion_pytorch_model.safetensors`).

    Args:
        layers: path of each spatial self-attention in the UNet -> `{"channels": width of its
            tokens, "inner": heads times head dimension, "heads": number of heads}`.
        pooled_group_norm: while attached, the UNet's group norms take their statistics as those of
            the official code: resnets and output over all frames of a video together, motion
            modules frame by frame. diffusers does the reverse.

    Examples:
        >>> from diffusers import UNet2DConditionModel
        >>> unet = UNet2DConditionModel(
        ...     sample_size=8,
        ...     block_out_channels=(32,),
        ...     down_block_types=("CrossAttnDownBlock2D",),
        ...     up_block_types=("CrossAttnUpBlock2D",),
        ...     layers_per_block=1,
        ...     cross_attention_dim=8,
        ...     attention_head_dim=4,
        ... )
        >>> adapter = I2VAdapter.from_unet(unet)
        >>> len(adapter.config["layers"])
        4
    """

    @register_to_config
    def __init__(
        self, layers: Mapping[str, Mapping[str, int]], pooled_group_norm: bool = False
    ) -> None:
        super().__init__()
        check_layers(layers)
        for path in sorted(layers, key=natural_order):
            parent: nn.Module = self
            *parents, leaf = path.split(".")
            for name in parents:
                if name not in parent._modules:
                    parent.add_module(name, nn.Module())
                parent = parent.get_submodule(name)
            parent.add_module(
                leaf, CrossFrameProjections(layers[path]["channels"], layers[path]["inner"])
            )
        self._state = CrossFrameState()
        self._attachment: Attachment | None = None
        self._fused = False

    @classmethod
    def from_unet(cls, unet: nn.Module, pooled_group_norm: bool = False) -> I2VAdapter:
        """An untrained adapter for `unet`, on its device and in its dtype: W_Q' = W_Q, W_O' = 0.

        Args:
            unet: as diffusers gives it, or compiled.
            pooled_group_norm: see the class.

        Raises:
            ValueError: the UNet has no spatial self-attention.
        """
        unet = uncompiled(unet)
        found = spatial_self_attentions(unet)
        if not found:
            raise ValueError(
                f"{type(unet).__name__} has no spatial self-attention (attn1) to extend"
            )
        weight = next(iter(found.values())).to_q.weight
        with torch.device(weight.device):
            adapter = cls(layer_shapes(unet), pooled_group_norm)
        nn.Module.to(adapter, weight.dtype)
        with torch.no_grad():
            for path, layer in found.items():
                adapter.projections(path).to_q_ff.weight.copy_(layer.to_q.weight)
        return adapter

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        weight_name: str | None = None,
        unet: nn.Module | None = None,
        **options: Any,
    ) -> I2VAdapter:
        """Load an adapter: one saved by `save_pretrained`, or a released checkpoint
        (:mod:`i2v_adapter.checkpoint_formats`).

        Args:
            pretrained_model_name_or_path: a hub id, a folder, or a checkpoint file.
            weight_name: of a released checkpoint in that repository or folder; not needed for a
                folder that holds an `i2v_module.pth` and no `config.json`.
            unet: a released checkpoint is checked against it, and against Stable Diffusion 1.5
                without one.
            **options: of diffusers' `from_pretrained`; of these a released checkpoint takes
                `torch_dtype` (float32 by default) and what concerns the download. `dtype` is
                another name of `torch_dtype`.
                `pooled_group_norm` overrides what was saved; released official weights have it on,
                unofficial ones off.

        Raises:
            ValueError: a checkpoint with missing, unexpected or mis-shaped tensors, all named,
                or with more in it than tensors.
            OSError: there is no such file.
        """
        source, weight_name = locate(
            pretrained_model_name_or_path, options.get("subfolder", ""), weight_name
        )
        if "dtype" in options:
            dtype = options.pop("dtype")
            if options.setdefault("torch_dtype", dtype) != dtype:
                raise ValueError(
                    f"dtype={dtype} and torch_dtype={options['torch_dtype']} differ; give one"
                )
        if weight_name is None and not source.is_file():
            return load_own(super().from_pretrained, pretrained_model_name_or_path, **options)
        dtype, pooled = options.pop("torch_dtype", None), options.pop("pooled_group_norm", None)
        if weight_name is not None:
            source = Path(_get_model_file(os.fspath(source), weights_name=weight_name, **options))
        tensors, layout = read_released(source)
        layers = stable_diffusion_15_layers() if unet is None else layer_shapes(unet)
        check_tensors(tensors, layers, str(source))
        with torch.device("meta"):
            adapter = cls(layers, layout == "official" if pooled is None else pooled)
        adapter.load_state_dict(
            {name: value.to(dtype or torch.float32) for name, value in tensors.items()}, assign=True
        )
        return adapter.eval()

    def projections(self, path: str) -> CrossFrameProjections:
        """W_Q' and W_O' of the self-attention at `path` in the UNet."""
        module = self.get_submodule(path)
        assert isinstance(module, CrossFrameProjections)
        return module

    @property
    def scale(self) -> Scale:
        """Factor on the cross-frame branch: 1 is the paper's, 0 switches it off. It is not saved.

        A number; a sequence with one for each of the F frames; or a mapping of the start of a
        layer's path (such as "up_blocks" or "down_blocks.1") to either. The longest start that fits
        a layer counts; 1 where none does.
        """
        return self._state.scale

    @scale.setter
    def scale(self, value: Scale) -> None:
        if isinstance(value, Mapping):
            check_starts(value, self.config["layers"])
        self._state.set_scale(float(value) if isinstance(value, (int, float)) else value)

    @property
    def unet(self) -> nn.Module | None:
        """The UNet the adapter is attached to, or None."""
        return self._attachment.unet if self._attachment else None

    def attach(self, unet: nn.Module) -> I2VAdapter:
        """Put the cross-frame branch into `unet`. Attaching again to the same UNet only checks that
        it is there.

        The processors are checked, and set again where something replaced them (`load_ip_adapter`
        does), before each forward pass of the UNet, compiled or not. An adapter on another device
        than the UNet's input moves there; its dtype stays.

        Returns:
            the adapter itself.

        Raises:
            ValueError: the UNet has other layers than the adapter was made for, or another
                adapter on it; the message names the layer, what was expected and what was found.
            RuntimeError: the adapter is attached to another UNet.
        """
        unet = uncompiled(unet)
        if self._attachment is not None:
            if self._attachment.unet is unet:
                self._attachment.connect()
                return self
            raise RuntimeError("the adapter is attached to another UNet: call its detach() first")
        name_repeated_blocks(unet)
        layers = spatial_self_attentions(unet)
        check_fit(self.config["layers"], layers)
        for path, layer in layers.items():
            if (
                isinstance(layer.processor, CrossFrameAttnProcessor)
                and layer.processor.state is not None
            ):
                raise ValueError(
                    f"another adapter is attached to this UNet (layer {path}): detach that one "
                    "first"
                )
        backend = active_attention_backend()
        hooks = [unet.register_forward_pre_hook(self._before_forward, with_kwargs=True)]
        if self.config["pooled_group_norm"]:
            hooks += pool_group_norms(unet, self._state)
        processors = {
            path: CrossFrameAttnProcessor(self.projections(path), self._state, path, backend)
            for path in layers
        }
        self._attachment = Attachment(unet, layers, processors, hooks)
        self._attachment.connect()
        return self

    def detach(self) -> None:
        """Take the branch out and put the processors found before back. Without a UNet it does
        nothing.
        """
        if self._attachment is None:
            return
        self._attachment.undo()
        self._attachment = None

    @contextmanager
    def attached(self, unet: nn.Module) -> Iterator[I2VAdapter]:
        """Attached to `unet` within a `with` block; afterwards, as it was before."""
        before, unet = self.unet, uncompiled(unet)
        if before is not None and before is not unet:
            self.detach()
        self.attach(unet)
        try:
            yield self
        finally:
            if before is not unet:
                self.detach()
                if before is not None:
                    self.attach(before)

    def fuse_projections(self) -> None:
        """One matrix product for Q, K, V and Q' of each layer instead of four, as diffusers'
        `fuse_qkv_projections` does for Q, K and V: equal to rounding, with fewer launches.

        The weights that share a product lie side by side in memory from the next forward pass on.
        They stay the parameters that they are: names, values and saved files do not change (only
        `torch.save` of one writes its neighbours too). Left out are projections with a LoRA, a
        bias, a hook, another dtype or device, and all where gradients with respect to their weights
        are asked for, or the scale is 0.

        Examples:
            >>> from i2v_adapter.tiny import tiny_unet
            >>> unet = tiny_unet()
            >>> adapter = I2VAdapter.from_unet(unet).attach(unet)
            >>> adapter.fuse_projections()
            >>> unet(torch.zeros(1, 4, 5, 8, 8), 0, torch.zeros(5, 7, 32)).sample.shape
            torch.Size([1, 4, 5, 8, 8])
            >>> adapter.unfuse_projections()
        """
        self._fused = True  # done before each forward pass: layers may change in between

    def unfuse_projections(self) -> None:
        """Four products again; an attached UNet's weights get memory of their own."""
        self._fused = False
        if self._attachment is not None:
            self._attachment.fuse(False)

    def _before_forward(
        self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        assert self._attachment is not None
        sample = args[0] if args else kwargs["sample"]
        if sample.ndim != 5:
            shape = tuple(sample.shape)
            raise ValueError(
                "the adapter needs a motion UNet's sample (B, C, F, h, w), but its shape is "
                f"{shape}"
            )
        self._state.num_frames = sample.shape[2]
        if self.device != sample.device:
            self.to(sample.device)
        self._state.move(sample.device)
        self._attachment.connect()
        if self._fused and not torch.compiler.is_compiling():
            self._attachment.fuse(True)
