"""Methods at the data seam: a data set in, a data set out."""
