"""The product of the experts' features, each shifted by one."""

from torch import Tensor

from certifuse.models.images.fusion.parts import NormedCombination, product


class MultiplicativeShifted(NormedCombination):
    """`MLP(prod_i (LN_i(x_i) + 1))`: the factors are around one, so the product holds every x_i to first order."""

    def combined(self, normed_ENd: Tensor) -> Tensor:
        """The product (N, d)."""
        return product(normed_ENd + 1)


RULE = MultiplicativeShifted
