"""Pretrained encoders with a task's head: loading, adapters, features, the output layer."""
