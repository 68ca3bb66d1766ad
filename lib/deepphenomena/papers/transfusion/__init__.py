"""Transfusion: how a fine-tuning starts, and Gabor filters."""
