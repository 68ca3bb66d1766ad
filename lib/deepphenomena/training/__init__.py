"""Training: one compiled loop for one model or many, checkpoints that a killed run resumes from, augmentation."""

from deepphenomena.training.driver import Trained, train, train_members
from deepphenomena.training.labels import Grid, grid

__all__ = ["Grid", "Trained", "grid", "train", "train_members"]
