"""Training: one compiled loop for one model or many, labelled results, and checkpoints to resume a killed run."""

from deepphenomena.training.driver import train
from deepphenomena.training.labels import Grid, grid
from deepphenomena.training.scan import Epochs, Recording, Scanned, scan, tunable
from deepphenomena.training.trained import Trained

__all__ = ["Epochs", "Grid", "Recording", "Scanned", "Trained", "grid", "scan", "train", "tunable"]
