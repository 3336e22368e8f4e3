"""The one trainer, and the parts that it is put together from."""
