"""Fine-tune the experts of a family on the fusion images beside each other, without fusion: the control of every cell.

Reads and writes what `train_fusion` does, but for the fusion module and the global head; costs about as much as a cell.
"""

from certifuse.steps.train_fusion import train_fusion
from certifuse.study.steps.training import FinetuneExperts, JointTrainingFiles


def finetune_experts(step: FinetuneExperts, files: JointTrainingFiles) -> None:
    """Train the experts of one family with the loss that is the sum of their own."""
    train_fusion(step, files)
