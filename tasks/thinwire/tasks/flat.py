"""A torch model as one flat float32 vector: the index space in which deltas and commits live.

Every trainable parameter becomes a view into one vector, in the order of `named_parameters`, so a step of the
optimiser, a sparse commit and a checksum all touch the same memory without a copy. Non-trainable float buffers
(batch-norm moments) are read and written as a second, small vector; integer buffers are counters and stay at home.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from thinwire.common.errors import TaskError
from thinwire.common.layout import Layout, TensorSpec

Vector = NDArray[np.float32]


class FlatModel:
    """`module` with its parameters in `weight_P`, its gradients in `gradient_P` (both (P,), views, float32)."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        parameters = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        self.layout = Layout(tuple(TensorSpec(name, tuple(p.shape)) for name, p in parameters))
        self.weight_P = torch.zeros(self.layout.size)
        self.gradient_P = torch.zeros(self.layout.size)
        for (name, parameter), start in zip(parameters, self.layout.offsets, strict=True):
            if parameter.dtype != torch.float32 or parameter.device.type != "cpu":
                raise TaskError(
                    f"parameter {name} is {parameter.dtype} on {parameter.device}; Task.model must return "
                    "float32 parameters on the CPU"
                )
            self._bind(parameter, start)
        self._buffers = [(name, b) for name, b in module.named_buffers() if b.is_floating_point()]
        self.buffer_layout = Layout(tuple(TensorSpec(name, tuple(b.shape)) for name, b in self._buffers))

    def _bind(self, parameter: nn.Parameter, start: int) -> None:
        window = slice(start, start + parameter.numel())
        view = self.weight_P[window].view_as(parameter)
        view.copy_(parameter.data)
        parameter.data = view
        parameter.grad = self.gradient_P[window].view_as(parameter)

    @property
    def weights(self) -> Vector:
        """The parameters (P,) as numpy, sharing memory with the model."""
        return self.weight_P.numpy()

    def read_buffers(self) -> Vector:
        """A copy of the float buffers (B,)."""
        if not self._buffers:
            return np.zeros(0, np.float32)
        return torch.cat([b.detach().reshape(-1).float() for _, b in self._buffers]).numpy()

    def write_buffers(self, buffers_B: Vector) -> None:
        """Set the float buffers from (B,)."""
        for (_, buffer), start in zip(self._buffers, self.buffer_layout.offsets, strict=True):
            piece = torch.from_numpy(buffers_B[start : start + buffer.numel()])
            buffer.copy_(piece.view_as(buffer))
