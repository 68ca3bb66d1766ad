"""Simulated photographs of the back of the eye, with diabetic retinopathy of a known grade."""

from deepphenomena.generators.fundus.simulator import GRADES, REFERABLE, Fundus, fundus

__all__ = ["GRADES", "REFERABLE", "Fundus", "fundus"]
