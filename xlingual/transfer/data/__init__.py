"""Methods at the data seam: they take a data set and return one."""
