"""The product of the experts' features."""

from torch import Tensor

from certifuse.models.images.fusion.parts import NormedCombination, product


class Multiplicative(NormedCombination):
    """`MLP(prod_i LN_i(x_i))`."""

    def combined(self, normed_ENd: Tensor) -> Tensor:
        """The product (N, d)."""
        return product(normed_ENd)


RULE = Multiplicative
