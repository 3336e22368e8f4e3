"""Methods at the loss seam: a ``TransferLoss`` is added to the task's loss in training."""
