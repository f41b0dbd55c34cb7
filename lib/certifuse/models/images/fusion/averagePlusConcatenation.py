"""A correction to the average of the experts, by the rule `concatenation`."""

from certifuse.models.images.fusion.concatenation import Concatenation


class AveragePlusConcatenation(Concatenation):
    """What the global head makes of the rule is added to the log of the experts' mean probability."""

    adds_to_average = True


RULE = AveragePlusConcatenation
