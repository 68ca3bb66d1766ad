"""Transfusion: tasks, how a fine-tuning starts, Gabor filters, representations compared, pictures."""
