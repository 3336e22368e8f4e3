"""Methods at the model seam: what is changed in a model, or computed from its features."""
