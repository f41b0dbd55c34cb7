"""The fusion rules by the names of the configuration."""

from certifuse.base.registry import implementation
from certifuse.models.images.fusion.parts import Fusion, ProjectedFusion
from certifuse.study.settings.fusion import FusionModuleSettings

PACKAGE = "certifuse.models.images.fusion"


def build_fusion(name: str, experts: int, feature_dim: int, settings: FusionModuleSettings) -> Fusion:
    """An untrained rule for E features of size D; `settings.input_dim` projects them first if set.

    Raises:
        UserError: there is no rule of this name.
    """
    rule = implementation(PACKAGE, "RULE", name, "fusion rule")
    if settings.input_dim is None:
        fusion: Fusion = rule(experts, feature_dim, settings)
        return fusion
    return ProjectedFusion(rule(experts, settings.input_dim, settings), feature_dim)
