"""Tasks: problems that are sampled again at every step of a training.

from deepphenomena.tasks import few_shot

task = few_shot.sample_sinusoid(shots=10, queries=10, key=jax.random.key(0))
task.support.x.shape  # (10, 1)
"""

from deepphenomena.tasks import few_shot

__all__ = ["few_shot"]
