"""Training: one compiled loop for one model or many, checkpoints that a killed run resumes from, augmentation."""

from deepphenomena.training.driver import Trained, train, train_members

__all__ = ["Trained", "train", "train_members"]
