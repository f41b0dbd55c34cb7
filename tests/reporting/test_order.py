"""The order of figures and tables, and the place of a rule that the guides do not know."""

import pytest

from certifuse.reporting.cells import ARCHITECTURES, FUSIONS, place_of_fusion
from certifuse.reporting.plot import fusion_look
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.settings.fusion import GUIDE_DEFAULTS


def test_all_that_is_listed_is_in_the_library() -> None:
    assert set(FUSIONS) <= set(GUIDE_DEFAULTS)
    assert set(ARCHITECTURES) <= set(ARCHITECTURE_SETTINGS)


def test_rules_of_the_guides_have_their_places_in_the_list() -> None:
    assert [place_of_fusion(fusion) for fusion in FUSIONS] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("added", "place"), [("mean", 34), ("median", 14)])
def test_an_added_rule_has_a_place_and_a_look_of_its_own(added: str, place: int) -> None:
    """The CRC-32 of a name, modulo 36, behind the six of the guides: the same on every machine."""
    assert place_of_fusion(added) == place
    style = FigureSettings()
    assert fusion_look(added, style) not in [fusion_look(fusion, style) for fusion in FUSIONS]
