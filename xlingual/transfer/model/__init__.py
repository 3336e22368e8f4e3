"""Methods at the model seam: they change a model, or compute something from its features."""
