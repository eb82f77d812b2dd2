"""Layer norm as a torch.autograd.Function, right, and with six usual mistakes."""

import numpy as np
import torch


def layer_norm(x, w, b):
    mean = x.mean(axis=-1, keepdims=True)
    var = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * w + b


SHAPES = "n d, d, d -> n d"


class Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b):
        mean = x.mean(-1, keepdim=True)
        rstd = torch.rsqrt(((x - mean) ** 2).mean(-1, keepdim=True) + 1e-5)
        xhat = (x - mean) * rstd
        ctx.save_for_backward(xhat, rstd, w)
        return xhat * w + b

    @staticmethod
    def backward(ctx, g):
        xhat, rstd, w = ctx.saved_tensors
        gw = g * w
        dx = gw - gw.mean(-1, keepdim=True) - xhat * (gw * xhat).mean(-1, keepdim=True)
        return dx * rstd, (g * xhat).sum(0), g.sum(0)


class WithoutMean(Norm):
    """The mean is taken for a constant."""

    @staticmethod
    def backward(ctx, g):
        xhat, rstd, w = ctx.saved_tensors
        gw = g * w
        dx = gw - xhat * (gw * xhat).mean(-1, keepdim=True)
        return dx * rstd, (g * xhat).sum(0), g.sum(0)


class WithoutVariance(Norm):
    """The variance is taken for a constant."""

    @staticmethod
    def backward(ctx, g):
        xhat, rstd, w = ctx.saved_tensors
        gw = g * w
        return (gw - gw.mean(-1, keepdim=True)) * rstd, (g * xhat).sum(0), g.sum(0)


class WithoutGain(Norm):
    """The weight is left out on the way to x."""

    @staticmethod
    def backward(ctx, g):
        xhat, rstd, _ = ctx.saved_tensors
        dx = g - g.mean(-1, keepdim=True) - xhat * (g * xhat).mean(-1, keepdim=True)
        return dx * rstd, (g * xhat).sum(0), g.sum(0)


class WithoutRoot(Norm):
    """The division by the deviation is left out on the way to x."""

    @staticmethod
    def backward(ctx, g):
        xhat, _, w = ctx.saved_tensors
        gw = g * w
        dx = gw - gw.mean(-1, keepdim=True) - xhat * (gw * xhat).mean(-1, keepdim=True)
        return dx, (g * xhat).sum(0), g.sum(0)


class MeanOverRows(Norm):
    """The bias's derivative is a mean over rows where it is a sum."""

    @staticmethod
    def backward(ctx, g):
        xhat, rstd, w = ctx.saved_tensors
        gw = g * w
        dx = gw - gw.mean(-1, keepdim=True) - xhat * (gw * xhat).mean(-1, keepdim=True)
        return dx * rstd, (g * xhat).sum(0), g.mean(0)


class OfInput(Norm):
    """The weight's derivative is formed with x in place of what it was multiplied with."""

    @staticmethod
    def forward(ctx, x, w, b):
        found = Norm.forward(ctx, x, w, b)
        ctx.x = x
        return found

    @staticmethod
    def backward(ctx, g):
        xhat, rstd, w = ctx.saved_tensors
        gw = g * w
        dx = gw - gw.mean(-1, keepdim=True) - xhat * (gw * xhat).mean(-1, keepdim=True)
        return dx * rstd, (g * ctx.x).sum(0), g.sum(0)
