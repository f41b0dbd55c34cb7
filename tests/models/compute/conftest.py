"""A fused network in training, for every test below."""

from joint_training import make_joint

__all__ = ["make_joint"]
