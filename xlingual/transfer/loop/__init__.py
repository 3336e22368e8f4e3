"""Methods at the loop seam: they train more than once, or choose between trained models."""
