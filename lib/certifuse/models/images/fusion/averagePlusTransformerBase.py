"""A correction to the average of the experts, by the rule `TransformerBase`."""

from certifuse.models.images.fusion.TransformerBase import TransformerBase


class AveragePlusTransformerBase(TransformerBase):
    """What the global head makes of the rule is added to the log of the experts' mean probability."""

    adds_to_average = True


RULE = AveragePlusTransformerBase
