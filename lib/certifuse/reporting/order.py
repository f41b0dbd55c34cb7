"""In which order figures and tables show architectures and fusion rules, and the place that decides a rule's look.

Those of the guides are listed here. One that is added to the library follows them by its name alone, so that it changes
no figure and no table without it.
"""

import zlib

ARCHITECTURES = ("resnet", "densenet", "improved_wide_resnet", "resnext")
FUSIONS = (
    *("multiplicative", "multiplicativeAddition", "TransformerBase"),
    *("concatenation", "simpleAddition", "multiplicativeShifted"),
)
OTHER_PLACES = 36
"""With those of the guides 42: colours, markers and lines together do not repeat before."""


def place_of_fusion(fusion: str) -> int:
    """The place of a rule among all that there may be; those behind the guides' come from the name."""
    if fusion in FUSIONS:
        return FUSIONS.index(fusion)
    return len(FUSIONS) + zlib.crc32(fusion.encode()) % OTHER_PLACES
