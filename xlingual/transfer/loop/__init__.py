"""Methods at the loop seam: they train more than once, compare and keep."""
